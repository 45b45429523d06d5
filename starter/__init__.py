"""The command line, and the processes that it starts: everything that starts or steers a workflow."""

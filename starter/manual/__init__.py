"""The commands' own options as data for completion, and as a man page. `make manual` writes both files anew."""

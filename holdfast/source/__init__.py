"""What is read: the walk over a source, its filters, metadata, and whether a file changed since the parent."""

"""Watching sources on this host, and reporting what changes to their collectors on the server."""

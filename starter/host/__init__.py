"""Processes of this host: Temporal's server, workers, keys, and who owns them."""

"""The host wing has the processes of this host: Temporal's server, workers, keys, and their owners."""

"""The standing of sources: how well each is backed up, from the settings, the journal and the server."""

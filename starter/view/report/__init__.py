"""The report of a run: one HTML page with charts and all that opens anywhere and fetches nothing."""

"""Tells how runs end and what has not run: notices to people through apprise, pings to a watcher."""

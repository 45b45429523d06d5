"""Schedules on the server: declared in holdfast.toml, compared, planned, applied."""

"""Restoring a snapshot: open, select page by page, check the space, restore shards, finish, verify, report.

Each step is a plain call over a `RestoreRun` and may be run twice, at once, or by an attempt that woke up late:
decisions are documents that are created once, files get their final names only when they are whole.
"""

"""A backup as engine calls: open, select, store, commit, report, close.

Each call is idempotent: run twice, at once, or by a frozen attempt that wakes up late, the run ends with one snapshot
(invariant 4). What a call decides it writes as a document that is created only if absent; a call that comes second
reads the first one's decision and goes on from that.
"""

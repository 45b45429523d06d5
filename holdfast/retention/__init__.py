"""Retention: which snapshots stay, which go and why; the bin for what went, and holds on what must not go.

What is decided is a value (`decision.py`), from snapshots, a policy and a time: nothing here removes what it was not
shown. `policy.py` is restic's rules, to the word; what protects a snapshot from them is in `protection.py`. The removal
and the way back are in `bin.py`. docs/retention.md has the promises, docs/adr/0054 the reasons.
"""

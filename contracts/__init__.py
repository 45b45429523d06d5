"""The messages that cross between starter, workflows and activities.

Plain frozen dataclasses without Temporal, and of the engine with its terms alone (holdfast/terms.py). One goes in and
one comes out of each call; new fields come with defaults, so that histories written before them still decode. No
secret, no list of files and no bytes: repositories and sources are named, and workers resolve the names (invariant 6 of
docs/architecture.md).
"""

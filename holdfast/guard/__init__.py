"""The guard: compares a source with its newest snapshot, and judges what it finds."""

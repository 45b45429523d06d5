"""A restic repository and its users: open it, find blobs in it, lock it, write packs, indexes and snapshots to it."""

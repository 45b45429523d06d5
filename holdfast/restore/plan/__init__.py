"""Select: the snapshot's trees, compared with the target, cut into shards."""

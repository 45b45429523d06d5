"""Select: the walk, compared with the parent, cut into shards."""

"""Execute: the files of a shard are read, chunked, stored, and checkpointed."""

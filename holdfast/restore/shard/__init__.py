"""Execute: the files of a shard are fetched, written, flushed and named."""

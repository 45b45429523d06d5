"""Finish: large files, links, deletions and directories, once all shards are done."""

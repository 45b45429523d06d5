"""Is what a snapshot references really there, and is it what it claims to be?

A run is opened, its trees are walked while packs are planned and read in shards, and it is finished: each step may be
done twice, at once, or on other hosts. Each leaves one document, created once; a call that finds it answers with that.
"""

"""A storage holds the bytes of a repository: one contract, a module for each kind of place."""

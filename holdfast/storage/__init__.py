"""Where a repository's bytes lie: one contract, a module for each kind of place."""

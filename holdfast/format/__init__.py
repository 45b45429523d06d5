"""Each type of file that a restic repository holds has a module: its grammar, in both directions."""

"""One module for each type of file that a restic repository holds: its grammar, in both directions."""

"""The log of runs: who asked for what, when, with what result, and what became of each file."""

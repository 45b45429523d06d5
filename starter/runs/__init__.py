"""The way of a run at the terminal, from its order to its report."""

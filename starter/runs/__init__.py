"""The runs wing has the way of a run at the terminal, from its order to its report."""

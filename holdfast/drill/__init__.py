"""A trial restore: the sample that is drawn, the scratch place, the user's own check."""

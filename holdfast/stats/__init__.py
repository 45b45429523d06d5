"""Statistics count what is in a repository: as restic counts, and what each source and each week takes by itself."""

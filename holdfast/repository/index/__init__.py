"""The index is what its files say, read into a map that finds each blob, shared by the processes of a host."""

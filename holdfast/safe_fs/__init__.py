"""Touching the file system through descriptors only, so that no link leads anywhere."""

"""Packs: blobs are gathered into them, and read out of them with few large reads."""

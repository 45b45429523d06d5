"""Packs are filled with blobs, and blobs are read out of them with few large reads."""

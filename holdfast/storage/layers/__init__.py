"""Layers are storages around storages: each adds one concern, and keeps the contract."""

"""Deterministic orchestration: what happens in which order, how often it is tried, and what people see of it.

Nothing here reads a file, a clock or the environment; activities do, by name (contracts.names).
"""

"""Adapters between workflows and the engine: each activity resolves names, calls one engine operation, and answers.

Here, and only here, meet Temporal and the engine: heartbeats, cancellation and the translation of errors.
"""

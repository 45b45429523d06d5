"""Holdfast's engine: durable backup and restore in restic's repository format, usable without Temporal."""

from typing import Final

__version__: Final = "0.1.0"

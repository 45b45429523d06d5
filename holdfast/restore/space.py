"""Asks, before anything is written, whether the target has room."""

from holdfast.restore.run import RestoreRun


def check_space(run: RestoreRun, needed_bytes: int) -> None:
    """Refuse a restore that cannot fit; once it has passed, later calls of the same run pass too.

    Raises:
        StorageFullError: says how much is needed and how much is free.
    """
    raise NotImplementedError

"""Reads the restored tree back from disk: every blob's hash, every entry's metadata."""

from holdfast.restore.run import Progress, RestoreRun, VerifyReport


async def verify_restored(run: RestoreRun, pages: int, progress: Progress) -> VerifyReport:
    """Compare what is on disk with the snapshot, for everything that the run restored or found to be equal.

    Left out: what the overwrite rule skipped, and paths that failed (they are in the run's record already).
    """
    raise NotImplementedError

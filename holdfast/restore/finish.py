"""Completes the tree once all shards are done: large files, links, special files, deletions, directories."""

from holdfast.restore.run import Finished, Progress, RestoreRun


def finish(run: RestoreRun, pages: int, shards: int, progress: Progress) -> Finished:
    """Complete the tree; idempotent. In a dry run it only counts what `delete` would remove.

    Raises:
        StorageFullError: the target is full.
        RunStateError: a page or a shard's result is missing.
    """
    raise NotImplementedError

"""Restores one shard: fetches what differs, pack by pack, and gives every file its name once it is whole."""

from holdfast.restore.run import Progress, RestoreRun, ShardSummary


async def restore_shard(run: RestoreRun, shard: int, progress: Progress) -> ShardSummary:
    """Restore the files of one shard; what is already whole on disk is not written again.

    Cancelling the task stops the threads before it returns; nothing half-written has a final name.

    Raises:
        StorageFullError: the target is full.
        FencedError: a newer attempt has taken over.
        LockLostError, StorageUnavailableError, StorageDeniedError: the repository cannot be read any more.
    """
    raise NotImplementedError

"""Opens a restore run: finds the snapshot, checks the target, and decides both once."""

from holdfast.restore.run import RestoreOpened, RestoreRun


def trigger_restore(run: RestoreRun) -> RestoreOpened:
    """Validate the request and pin the snapshot for the whole run; the second call finds what the first decided.

    Raises:
        UsageError: the request contradicts itself.
        TargetError: the target cannot be used as asked.
        SnapshotNotFoundError: no snapshot, or no such subfolder in it.
    """
    raise NotImplementedError

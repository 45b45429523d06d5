"""Ends a restore run: its workspace goes, unless it is to be resumed."""

from holdfast.restore.run import RestoreRun


def close_restore(run: RestoreRun, *, keep: bool) -> None:
    """Remove the run's documents, or keep them for `holdfast resume`."""
    if not keep:
        run.workspace.delete()

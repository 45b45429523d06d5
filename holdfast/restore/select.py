"""Plans a restore page by page: walks the snapshot's trees and compares them with what is on disk."""

from holdfast.restore.run import PageSummary, RestoreRun


def select_page(run: RestoreRun, page: int) -> PageSummary:
    """Plan one page; pages come in order, each goes on where the one before it ended. Creates nothing on disk.

    Raises:
        RunStateError: the page before is not there.
        CorruptFileError, BlobMissingError: the snapshot's own root tree cannot be read.
    """
    raise NotImplementedError

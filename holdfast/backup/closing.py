"""Close a run: its workspace goes, unless the run is to be resumed."""

from holdfast.backup.documents import OPENING, RunKey
from holdfast.repository.session import RepositorySession


def close_run(session: RepositorySession, key: RunKey, *, keep: bool) -> None:
    """Remove the run's documents; with `keep` leave everything for a resumption. Absent documents are fine.

    The opening goes first: late attempts take its absence as the sign that the run is over (see `commit`).
    """
    if keep:
        return
    workspace = session.workspace(key.run_id)
    workspace.remove(OPENING)
    workspace.delete()

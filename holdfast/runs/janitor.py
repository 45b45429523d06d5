"""The janitor: takes away what runs left behind that nobody will go on with, and what crashes left in the storage.

What may go:

- the workspace of a run that has written nothing for as long as the settings say, and that is not open;
- temporary files of interrupted writes, after a time in which no write is still under way. They have no final name, so
  nobody relies on them.

How it is known that a run is not open. Each workspace holds a note with the run's id, which is written whenever the run
is opened (`leave_note`). The caller asks the server about that id while we hold the exclusive lock: a run whose
workflow began before the question is open, and stays; one that begins after it needs the shared lock to be opened,
waits for us, and finds nothing to go on with. A workspace without a note was made by a late attempt of a run that is
over; nobody opens it again. For a run that is open, the note is written again, so that the workspace looks young to
janitors of other hosts as well, whose servers do not know the run.

How a workspace goes, and what a crash leaves:

    1. the exclusive lock is taken: no run is opened, and no attempt writes, until it is given back;
    2. the workspace is listed again: if it has become young, it stays;
    3. the server is asked; if the run is open, the workspace stays;
    4. a tombstone is created in the workspace. A crash before this leaves everything as it was;
    5. all documents but the tombstone go. A crash leaves some of them beside the tombstone: half a workspace, which
       would mislead a run that goes on with it. So what opens the run finds the tombstone and finishes the removal
       first (`finish_removal`), and so does the next janitor, without asking anything;
    6. the pointer in the repository's own storage goes, if there is one (elsewhere.py), and then the tombstone, with
       the folder.

The lock is checked before each request of 4 to 6. Where another client uses the repository, nothing is removed but
temporary files; the next day is soon enough.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.errors import CorruptFileError, UsageError
from holdfast.repository.companion import CLOCK, time_ns_of
from holdfast.repository.documents import encode, load
from holdfast.repository.exclusive import WAIT_FOR_OTHERS_S, ExclusiveLock
from holdfast.repository.repository import Repository
from holdfast.runs.workspace import StoredRun, Workspace, list_runs
from holdfast.units import NS_PER_S

_NOTE: Final = "run"
_TOMBSTONE: Final = "tombstone"
MOST_SKEW_S: Final = 3600.0
_LOG: Final = logging.getLogger(__name__)

IsOpen = Callable[[str], bool]
"""Whether the run of this id is open, as its server says; raises a TemporaryError where no server answers."""


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OldRun:
    """A workspace that may go. run_id: empty where there is no note. half_removed: it has a tombstone."""

    stored: StoredRun
    run_id: str
    half_removed: bool


def finish_removal(workspace: Workspace) -> None:
    """Finish a removal that was interrupted: before a run is opened, under the shared lock."""
    if workspace.has(_TOMBSTONE):
        _remove_documents(workspace, lambda: None)


def leave_note(workspace: Workspace) -> None:
    """Say whose workspace this is, whenever a run is opened, under the same lock."""
    workspace.put(_NOTE, encode(_Note(run_id=workspace.run_id)))


def old_runs(repository: Repository, *, older_than_s: float) -> list[OldRun]:
    """The workspaces in which nothing was written for so long, and those whose removal was interrupted."""
    horizon_ns = time.time_ns() - int(older_than_s * NS_PER_S)
    found: list[OldRun] = []
    for stored in list_runs(repository):
        workspace = Workspace(repository, "", name=stored.name)
        half_removed = workspace.has(_TOMBSTONE)
        if not half_removed and stored.newest_ns > horizon_ns:
            continue
        try:
            note = None if half_removed else load(workspace, _NOTE, _Note)
        except CorruptFileError as error:
            _LOG.warning("a workspace stays, because nobody can say whose it is: %s", error.message)
            continue
        run_id = "" if note is None else note.run_id
        found.append(OldRun(stored=stored, run_id=run_id, half_removed=half_removed))
    return found


def removable_runs(repository: Repository, *, older_than_s: float, is_open: IsOpen) -> list[OldRun]:
    """What `remove_old_runs` would remove at this moment. Raises TemporaryError from `is_open`."""
    return [
        old
        for old in old_runs(repository, older_than_s=older_than_s)
        if old.half_removed or not old.run_id or not is_open(old.run_id)
    ]


def remove_old_runs(
    repository: Repository,
    *,
    older_than_s: float,
    is_open: IsOpen,
    wait_s: float = WAIT_FOR_OTHERS_S,
    on_removed: Callable[[OldRun], None] = lambda _: None,
) -> None:
    """Remove the workspaces that may go; see the module. on_removed: called after each one; may raise to end it.

    Raises:
        RepositoryLockedError: another client uses the repository, and did not go in time. Nothing was removed.
        UsageError: the clocks of host and storage differ so much that no age is to be believed.
        LockLostError: our lock could not be kept; what was removed until then stays removed.
        TemporaryError: from `is_open`; likewise.
    """
    if not old_runs(repository, older_than_s=older_than_s):
        return
    with ExclusiveLock(repository, wait_s=wait_s) as lock:
        _refuse_skew(repository)
        for old in old_runs(repository, older_than_s=older_than_s):
            workspace = Workspace(repository, "", name=old.stored.name)
            if old.run_id and not old.half_removed and is_open(old.run_id):
                _LOG.info("a run that has written nothing for long is open, and keeps its workspace")
                lock.check()
                workspace.put(_NOTE, encode(_Note(run_id=old.run_id)))
                continue
            lock.check()
            workspace.put_new(_TOMBSTONE, b"")
            _remove_documents(workspace, lock.check)
            on_removed(old)


def _remove_documents(workspace: Workspace, check_lock: Callable[[], None]) -> None:
    """Steps 5 and 6."""
    check_lock()
    workspace.remove_many([name for name in workspace.list() if name != _TOMBSTONE])
    check_lock()
    workspace.delete()


def _refuse_skew(repository: Repository) -> None:
    """Ages are told by two clocks: ours, and that of the place where workspaces lie.

    What crashes have left of asking for a time goes here: nobody else asks under our lock.
    """
    workspaces = repository.workspaces
    apart_s = abs(time.time_ns() - time_ns_of(workspaces)) / NS_PER_S
    for storage in repository.storages:
        if storage.traits.keeps_documents:
            storage.delete_folder(CLOCK)
    if apart_s > MOST_SKEW_S:
        raise UsageError(
            f"{workspaces.location}: its clock and this host's are {apart_s / 3600:.1f} hours apart",
            hint="Nothing was removed. Set the clocks, and repeat.",
        )

"""Delete packs that the index names no more, in batches; beside everybody.

    1. a result that stands is returned at once;
    2. the list of condemned packs is looked for, under the lock. Where it is gone, another prune was alone since, and a
       checkpoint that names these packs is believed again: they are left to the next prune, as packs that no index
       names;
    3. the index is brought up to date, for some hundred packs at a time: what it names again is spared. Nobody can rely
       on the rest: it was in no index when this client was alone, and a checkpoint that names it is not believed
       (condemned.py);
    4. where an alarm is open, the rest waits for a person's decision. The lock is looked at, and packs are removed;
       each removal comes after a look at the clock;
    5. each pack is asked for by its name: that it was removed is believed when it is not found;
    6. marks of damage on them go, and the result is created if absent.

A crash leaves some of them; the next attempt removes the rest.
"""

from collections.abc import Callable, Collection
from typing import Final

from holdfast.errors import RunStateError
from holdfast.ids import PackId
from holdfast.prune.documents import SWITCHED, Deleted, PackList, PruneRun, Switched
from holdfast.prune.refusals import put_off
from holdfast.prune.switch import batch_name
from holdfast.repository.condemned import is_list_there
from holdfast.repository.damage import DamageMarks
from holdfast.repository.documents import load
from holdfast.repository.index.rewrite import guarded
from holdfast.repository.layout import pack_name
from holdfast.repository.packs.stored import sizes_by_name
from holdfast.repository.session import HeldRepository
from holdfast.runs.attempts import Attempt
from holdfast.runs.opening import conclude
from holdfast.runs.progress import Progress
from holdfast.runs.workspace import run_name

_AT_ONCE: Final = 250
"""Packs between two looks at the index and the lock file."""


def delete_batch(
    run: PruneRun, number: int, progress: Progress, *, alarm: Callable[[], str] = str
) -> Deleted:
    """Delete the packs of one batch; the result that stands. progress: packs. alarm: the one that is open now, if any.

    Raises:
        AlarmOpenError: there is one; the next call goes on.
        RunStateError: the index was not switched, or the batch is gone.
        CorruptFileError: an index file cannot be read, and may name the packs.
        FencedError: a newer attempt has taken over, or the run was closed.
        StorageDeniedError, StorageUnavailableError, LockLostError, …: from the repository.
    """
    workspace = run.workspace
    standing = load(workspace, deleted_name(number), Deleted)
    if standing is not None:
        return standing
    switched = load(workspace, SWITCHED, Switched)
    batch = None if switched is None else load(workspace, batch_name(switched.token, number), PackList)
    if batch is None:
        raise RunStateError(f"batch {number} of the packs that go is not there")
    attempt = Attempt(workspace, f"delete-{number:06d}")
    attempt.claim()
    packs = batch.packs()
    with run.session.hold() as held:
        is_condemned = is_list_there(held.repository, run_name(held.repository, run.run_id))
        unnamed: list[PackId] = []
        named = list(packs)
        for at in range(0, len(named), _AT_ONCE):
            attempt.check()
            held.refresh()
            held.files.check_whole()
            going = [pack for pack in named[at : at + _AT_ONCE] if not held.index.has_pack(pack)]
            unnamed += going
            if is_condemned:
                put_off(alarm())
                held.confirm_lock()
                held.repository.storage.delete_many(guarded(map(pack_name, going), held.check_lock))
            progress(len(unnamed), 0)
        sizes = sizes_by_name(held.repository.storage, unnamed)
        deleted = [pack for pack, size in sizes.items() if size is None]
        _remove_marks(held, deleted)
    result = Deleted(
        packs=len(deleted),
        size_bytes=sum(packs[pack] for pack in deleted),
        spared=len(packs) - len(unnamed),
        left=len(unnamed) - len(deleted),
    )
    return conclude(workspace, deleted_name(number), result)


def deleted_name(number: int) -> str:
    """The document that says what came of a batch."""
    return f"deleted/{number:06d}"


def _remove_marks(held: HeldRepository, packs: Collection[PackId]) -> None:
    marks = DamageMarks(held.repository)
    marked = {PackId(raw) for raw, _ in marks.seen()}
    gone = marked.intersection(packs)
    for pack in gone:
        marks.remove(pack)
    if gone:
        held.note_marks()

"""The short part: the index names no more what goes. All that a prune does while nobody else may use the repository.

    1. a `switched` that stands is returned at once;
    2. under the shared lock, all that is used is looked up in packs that stay: what the run has marked, and what
       snapshots since use. A pack that holds something of it alone is taken back. Packs that index files have come to
       name since the plan are seen: an index file may have been written while its lock had lapsed and a prune was
       deleting its packs. One that is gone is marked as damaged. This may take minutes;
    3. the exclusive lock is taken, or the call ends for now: RepositoryLockedError. If an index file has gone since 2,
       another program has removed packs, and it begins with 2 again;
    4. what has come since 2 is looked up likewise: snapshots and index files that are new, and no others;
    5. packs that no index named when the plan was made, nor now, are removed;
    6. the list of condemned packs is written (repository/condemned.py);
    7. index files are replaced: new ones first, then the old ones go (repository/index/rewrite.py);
    8. the lock is looked at, `switched` is decided, and the lock given back.

The lock is looked at before each write and removal of 5 to 7. A crash, or a lock that is lost, between any two steps
leaves packs that are in an index or that nothing needs; the next attempt begins with 2. One of the old index files may
have been removed by a request that was on its way while our lock had lapsed. Then 2 or 4 finds a pack that is used and
in no index, and names it again at once, by its own header.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from holdfast.errors import RepositoryLockedError
from holdfast.format.index import IndexPack
from holdfast.ids import PackId
from holdfast.prune.documents import (
    REPACK,
    SWITCHED,
    Opening,
    PackList,
    PruneRun,
    Root,
    Switched,
)
from holdfast.prune.look import Look, take_back, take_look
from holdfast.prune.plan import UNNAMED
from holdfast.prune.refusals import gone_snapshots, refuse_alarm
from holdfast.prune.used import new_roots, walk
from holdfast.repository.condemned import condemn
from holdfast.repository.documents import encode, load
from holdfast.repository.exclusive import ExclusiveLock
from holdfast.repository.index.rewrite import guarded, replace_files, write_checked
from holdfast.repository.layout import pack_name
from holdfast.repository.repository import Repository
from holdfast.runs.opening import conclude, load_opening
from holdfast.runs.progress import Progress
from holdfast.runs.workspace import run_name

WAIT_FOR_LOCK_S: Final = 15.0
"""Longer than locks of workers linger."""
BATCH_PACKS: Final = 1000
_LOOKS: Final = 3
_REMOVE_UNNAMED_S: Final = 10.0
_AT_ONCE: Final = 1000
_TOKEN_BYTES: Final = 8


class _MovedError(Exception):
    """Another program has removed packs since the look."""


def switch(
    run: PruneRun,
    progress: Progress,
    *,
    roots: Callable[[], Sequence[Root]] = tuple,
    alarm: Callable[[], str] = str,
    wait_s: float = WAIT_FOR_LOCK_S,
    on_wait: Callable[[], None] = lambda: None,
) -> Switched:
    """Have the index name no more what goes; the outcome that stands. progress: trees that are walked.

    roots: what counts as used beside the snapshots as of now (see `PruneOrder`); asked under each lock: a snapshot may
    have come and gone into the bin since the run was opened. alarm: the one that is open now, asked under the exclusive
    lock: that may take days to come. wait_s: for others to go; on_wait: called while that is waited for, and what it
    raises ends the wait.

    Raises:
        RepositoryLockedError: another client uses the repository, and did not go in time. Nothing was changed.
        UsageError: an alarm is open. Nothing was changed.
        BlobMissingError, CorruptFileError: something that snapshots need is not there.
        StorageUnavailableError: a listing leaves out what is there; or the storage does not answer.
        LockLostError: the exclusive lock could not be kept; the next call goes on.
        RunStateError: the plan is gone. RunClosedError: the run is over.
    """
    standing = load(run.workspace, SWITCHED, Switched)
    if standing is not None:
        return standing
    for _ in range(_LOOKS):
        look = take_look(run, progress, roots)
        try:
            return _alone(run, look, progress, roots, alarm, wait_s, on_wait)
        except _MovedError:
            continue
    raise RepositoryLockedError(
        f"{run.session.repository.storage.location}: others remove packs again and again",
        hint="Wait until that has ended.",
    )


def _alone(
    run: PruneRun,
    look: Look,
    progress: Progress,
    extra_roots: Callable[[], Sequence[Root]],
    alarm: Callable[[], str],
    wait_s: float,
    on_wait: Callable[[], None],
) -> Switched:
    """Steps 3 to 8."""
    repository, workspace = run.session.repository, run.workspace
    order = load_opening(workspace, Opening).order
    plan = run.plan.page(0)
    unnamed = run.plan.beside(0, plan, UNNAMED, PackList).packs()
    with ExclusiveLock(repository, wait_s=wait_s, on_wait=on_wait) as lock:

        def name_again(packs: Sequence[IndexPack]) -> None:
            columns = [pack.columns for pack in packs]
            look.index.add_written(write_checked(repository, columns, lock.check), columns)

        began = time.monotonic()
        refuse_alarm(alarm())
        if not look.index.catch_up(same_lock=False):
            raise _MovedError
        look.index.check_whole()
        look.marks.refresh()
        roots, listed = new_roots(repository, look.seen)
        gone_snapshots(repository, look.seen, listed)
        in_bin = [root for root in extra_roots() if root.tree not in look.lost]
        trees = [root.tree for root in (*roots, *in_bin)]
        missing = walk(look.loader, look.marks, trees, lambda: progress(0, 0))
        take_back(repository, look, missing, progress, name_again)
        removed = _remove_unnamed(repository, look, unnamed, lock)
        lock.check()
        condemn(repository, run_name(repository, run.run_id), look.going, alone=True)
        replace_files(
            repository,
            look.index,
            look.going,
            check_lock=lock.check,
            check_clock=lock.check_clock,
            sparing=order.full_disk,
        )
        token, batches = write_batches(run, look.going)
        lock.check()
        return conclude(
            workspace,
            SWITCHED,
            Switched(
                token=token,
                batches=batches,
                packs=len(look.going),
                size_bytes=sum(look.going.values()),
                taken_back=look.planned - len(look.going),
                unnamed=len(removed),
                unnamed_bytes=sum(removed.values()),
                alone_s=time.monotonic() - began,
            ),
        )


def write_batches(run: PruneRun, going: Mapping[PackId, int]) -> tuple[str, int]:
    """Write down the packs that go, for `delete_batch`; under which token, and in how many batches."""
    token = secrets.token_hex(_TOKEN_BYTES)
    batches = list(_batches(going))
    for number, batch in enumerate(batches):
        run.workspace.put(batch_name(token, number), encode(batch))
    return token, len(batches)


def batch_name(token: str, number: int) -> str:
    """The document that holds the packs of a batch."""
    return f"{REPACK}going/{token}/{number:06d}"


def _remove_unnamed(
    repository: Repository, look: Look, unnamed: dict[PackId, int], lock: ExclusiveLock
) -> dict[PackId, int]:
    """Remove packs that no index names; what is not done in ten seconds is left to the next prune."""
    left = [pack for pack in unnamed if not look.index.index.has_pack(pack)]
    removed: dict[PackId, int] = {}
    until = time.monotonic() + _REMOVE_UNNAMED_S
    for at in range(0, len(left), _AT_ONCE):
        if time.monotonic() > until:
            break
        batch = left[at : at + _AT_ONCE]
        lock.check()
        repository.storage.delete_many(guarded(map(pack_name, batch), lock.check_clock))
        removed.update((pack, unnamed[pack]) for pack in batch)
    return removed


def _batches(going: Mapping[PackId, int]) -> Iterator[PackList]:
    packs = sorted(going)
    for at in range(0, len(packs), BATCH_PACKS):
        yield PackList.of({pack: going[pack] for pack in packs[at : at + BATCH_PACKS]})

"""The way where no exclusive moment comes: packs are marked, and go when all who may rely on them are gone.

    1. under the shared lock the look is taken (look.py), what the index says of the packs that go is kept, the list of
       condemned packs is written, and index files are replaced: one says which packs are marked, in a way that restic
       does not see, and rustic does;
    2. when listings show that everywhere, the locks that stand are written down, and with them `marked` is decided. Who
       takes a lock from now on does not find marked packs in the index, nor in a checkpoint. Our own process gives its
       lock up, so that all of it reads the index again;
    3. `watch_marked`, again and again: locks of the list that two looks in a row do not show are crossed out. The look
       is taken; what snapshots since use goes back into the index;
    4. when none of the locks is left, and 23 hours have passed, the look of that call is the last: `switched` is
       decided, and the packs are deleted as always. The locks are looked at before the snapshots are listed, so a
       snapshot of a client whose lock is gone is seen.

What a lock's absence proves, `standing_processes` says: also in 2 both looks are needed, and a lock that has got old is
removed, not ignored.

A crash between any two steps leaves packs that are in an index, or that nothing needs, or that 3 puts back. A snapshot
that stock restic writes between 1 and 3 may lack blobs in restic's eyes until then (docs/retention.md).
"""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from holdfast.format.index import encode_marking_index
from holdfast.format.times import format_time
from holdfast.prune.documents import SWITCHED, Opening, PruneRun, Root, Switched
from holdfast.prune.look import save_entries, take_look
from holdfast.prune.switch import write_batches
from holdfast.repository.condemned import condemn
from holdfast.repository.documents import decide, encode, load
from holdfast.repository.index.rewrite import replace_files
from holdfast.repository.layout import INDEX
from holdfast.repository.lock_files import standing_processes
from holdfast.repository.session import HeldRepository
from holdfast.runs.opening import conclude, load_opening
from holdfast.runs.progress import Progress
from holdfast.runs.workspace import run_name
from holdfast.units import NS_PER_S

MARKED: Final = "marked"
KEPT_S: Final = 23 * 3600
"""23 hours, which rustic waits by default."""
_LEFT: Final = "left"
_ENTRY_PACKS: Final = 1000
_TOKEN_BYTES: Final = 8


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """Packs are marked. marked_ns: by the storage's clock. fence: the processes whose locks stood."""

    marked_ns: int
    packs: int
    fence: tuple[str, ...]


class _Left(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the fence are left."""

    fence: tuple[str, ...]


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands. switched: the packs can be deleted. standing: locks that are still waited for.

    taken_back: packs of the plan that are in the index again. ready_ns: when enough time will have passed, as
    `marked_ns`.
    """

    switched: Switched | None
    standing: tuple[str, ...]
    taken_back: int
    ready_ns: int


def mark_packs(run: PruneRun, progress: Progress, *, roots: Callable[[], Sequence[Root]] = tuple) -> Marked:
    """Mark what goes, beside everybody; what stands. roots: see `switch`.

    Raises:
        LockLostError: the next call goes on. Else as `switch`.
    """
    standing = load(run.workspace, MARKED, Marked)
    if standing is not None:
        return standing
    repository = run.session.repository
    order = load_opening(run.workspace, Opening).order
    look = take_look(run, progress, roots)
    with run.session.hold() as held:
        held.refresh()
        held.files.check_whole()
        columns = [
            pack.columns
            for index_id in sorted(held.files.files)
            for pack in held.index.packs_of(index_id)
            if pack.id in look.going
        ]
        token = secrets.token_hex(_TOKEN_BYTES)
        for number, at in enumerate(range(0, len(columns), _ENTRY_PACKS)):
            save_entries(run, token, number, columns[at : at + _ENTRY_PACKS])
        condemn(repository, run_name(repository, run.run_id), look.going, alone=False)
        now_ns = _storage_ns(held)
        if columns:
            held.confirm_lock()
            repository.save_file(INDEX, encode_marking_index(columns, format_time(now_ns)))
        replace_files(
            repository,
            held.files,
            look.going,
            check_lock=held.confirm_lock,
            check_clock=held.check_lock,
            sparing=order.full_disk,
        )
        held.note_marks()
        held.confirm_lock()
        # So long may a listing show index files that have gone: a program that believes one has its lock by then.
        time.sleep(repository.storage.settle_s)
        fence = standing_processes(repository, now_ns)
        held.give_up()
    return decide(
        run.workspace, MARKED, Marked(marked_ns=now_ns, packs=len(look.going), fence=tuple(sorted(fence)))
    )


def watch_marked(
    run: PruneRun,
    progress: Progress,
    *,
    roots: Callable[[], Sequence[Root]] = tuple,
    kept_s: float = KEPT_S,
) -> Watched:
    """Look whether marked packs can go, and take back what is used; they are marked if they are not yet.

    roots: see `switch`. kept_s: for how long packs stay marked at least, for clients without locks.

    Raises: as `switch`.
    """
    workspace = run.workspace
    marked = mark_packs(run, progress, roots=roots)
    ready_ns = marked.marked_ns + round(kept_s * NS_PER_S)
    switched = load(workspace, SWITCHED, Switched)
    if switched is not None:
        return Watched(switched=switched, standing=(), taken_back=switched.taken_back, ready_ns=ready_ns)
    left = load(workspace, _LEFT, _Left) or _Left(fence=marked.fence)
    with run.session.hold() as held:
        now_ns = _storage_ns(held)
    there = standing_processes(run.session.repository, now_ns)
    standing = tuple(one for one in left.fence if one in there)
    if standing != left.fence:
        workspace.put(_LEFT, encode(_Left(fence=standing)))
    look = take_look(run, progress, roots)
    taken_back = look.planned - len(look.going)
    if standing or now_ns < ready_ns:
        return Watched(switched=None, standing=standing, taken_back=taken_back, ready_ns=ready_ns)
    token, batches = write_batches(run, look.going)
    return Watched(
        switched=conclude(
            workspace,
            SWITCHED,
            Switched(
                token=token,
                batches=batches,
                packs=len(look.going),
                size_bytes=sum(look.going.values()),
                taken_back=taken_back,
            ),
        ),
        standing=(),
        taken_back=taken_back,
        ready_ns=ready_ns,
    )


def _storage_ns(held: HeldRepository) -> int:
    """The storage's time of now."""
    return time.time_ns() - int(held.clock_skew_s() * NS_PER_S)

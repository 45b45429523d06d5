"""Open a run: is its snapshot there already, was it opened before, against which parent does it compare?

The decision is a document that is created once, so every attempt, and every resumption after days, goes on with the
same strategy and parent. The time alone is the newest resumption's, because a snapshot must not seem older than what
it holds; each resumption leaves its own.

A snapshot that carries the run's tag ends the matter: the run is finished. Not so where the workspace stands and the
snapshot is not whole: then its commit was killed before the last look (commit.py, 7), and nobody was told of it.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from holdfast.backup.documents import RESUMED, Opening
from holdfast.backup.run import BackupRun
from holdfast.backup.strategy import Candidate, Choice, choose, choose_named
from holdfast.errors import HoldfastError, StorageDeniedError
from holdfast.format.names import quote_path
from holdfast.format.tags import RUN_TAG
from holdfast.ids import BlobId, SnapshotId, from_hex, short
from holdfast.repository.kept_trees import is_whole
from holdfast.repository.snapshots import list_snapshots
from holdfast.runs.opening import open_run
from holdfast.runs.workspace import Workspace
from holdfast.source.spec import SourceSpec
from holdfast.terms import Strategy

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupOrder:
    """What was asked for.

    started_ns: when, since 1970; it becomes the snapshot's time. parent: a snapshot id or prefix, or empty. source: its
    name in the settings, which the snapshot says in a tag; empty for what was typed on a command line.
    """

    spec: SourceSpec
    host: str
    strategy: Strategy
    started_ns: int
    parent: str = ""
    tags: tuple[str, ...] = ()
    source: str = ""
    username: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedBackup:
    """The run is open, with the time of its newest attempt. resumed: it was before. finished: the snapshot that it has
    written already."""

    opening: Opening
    resumed: bool
    finished: SnapshotId | None


def run_tag(run_id: str) -> str:
    """The tag by which a run finds its own snapshot; a hash, because run ids may hold commas."""
    return RUN_TAG + hashlib.sha256(run_id.encode()).hexdigest()[:32]


def snapshot_paths(spec: SourceSpec) -> list[str]:
    """The source's roots as a snapshot lists them."""
    return [quote_path(root) for root in spec.roots]


def open_backup(run: BackupRun, order: BackupOrder, *, is_new: bool = False) -> OpenedBackup:
    """Open the run, or find it open, or find it finished. is_new: as `open_run` takes it.

    Raises:
        SnapshotNotFoundError, UsageError: the parent or the strategy that was asked for does not exist.
        StorageDeniedError: the medium is read-only.
        RepositoryLockedError, CorruptFileError, StorageUnavailableError: from the repository.
    """
    session, workspace = run.session, run.workspace
    if not session.locked:
        raise StorageDeniedError(
            f"{session.repository.storage.location}: nothing can be locked or written there",
            hint="Mount it for writing, or back up to another repository.",
        )
    with session.hold() as held:
        candidates = [
            Candidate(id=stored.id, snapshot=stored.snapshot)
            for stored in list_snapshots(session.repository, on_unreadable=_no_parent)
        ]
        opening, resumed = open_run(workspace, Opening, lambda: _decide(order, candidates), is_new=is_new)
        finished = _finished_snapshot(candidates, run.run_id)
        if finished is not None and resumed and not is_whole(held, _tree(finished)):
            finished = None  # an attempt was killed before the last look of its commit: it has told nobody
    if order.started_ns > opening.started_ns:
        workspace.put_new(f"{RESUMED}/{order.started_ns:020d}", b"")
    return OpenedBackup(
        opening=replace(opening, started_ns=max(opening.started_ns, order.started_ns)),
        resumed=resumed,
        finished=None if finished is None else finished.id,
    )


def begun_ns(workspace: Workspace, opening: Opening) -> int:
    """When the newest attempt at the run began: nothing that the run reads from now on is older."""
    later = [int(name.rpartition("/")[2]) for name in workspace.list(RESUMED)]
    return max([opening.started_ns, *later])


def parent_tree(opening: Opening) -> BlobId | None:
    """The root tree to compare with, or None where every file is read."""
    return BlobId(opening.parent_tree) if opening.parent_tree else None


def _finished_snapshot(candidates: Sequence[Candidate], run_id: str) -> Candidate | None:
    """The snapshot that carries the run's tag."""
    tag = run_tag(run_id)
    return next((candidate for candidate in candidates if tag in (candidate.snapshot.tags or ())), None)


def _tree(candidate: Candidate) -> BlobId:
    return BlobId(from_hex(candidate.snapshot.tree))


def _no_parent(snapshot_id: SnapshotId, error: HoldfastError) -> None:
    """One that cannot be read is no parent. An older one, or none, costs time and loses nothing."""
    _LOG.warning(
        "the snapshot %s cannot be read, and is not looked at as a parent: %s",
        short(snapshot_id),
        error.message,
    )


def _decide(order: BackupOrder, candidates: Sequence[Candidate]) -> Opening:
    choice = _choose(order, candidates)
    parent = choice.parent
    return Opening(
        started_ns=order.started_ns,
        strategy=choice.strategy,
        reason=choice.reason,
        host=order.host,
        parent=b"" if parent is None else parent.id,
        parent_tree=b"" if parent is None else from_hex(parent.snapshot.tree),
    )


def _choose(order: BackupOrder, candidates: Sequence[Candidate]) -> Choice:
    if order.parent:
        return choose_named(order.strategy, order.parent, candidates)
    return choose(
        order.strategy,
        candidates,
        host=order.host,
        paths=snapshot_paths(order.spec),
        now_ns=order.started_ns,
    )

"""One restore run as the calls of this package see it: the repository under its lock, the workspace, the request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from holdfast.repository.index.map import IndexMap
from holdfast.repository.packs.loader import BlobLoader
from holdfast.repository.repository import Repository
from holdfast.restore.request import RestoreOptions
from holdfast.runs.workspace import Workspace
from holdfast.sizes import RestoreSizes, Sizes


class Held(Protocol):
    """A repository whose lock is held, with an index that was loaded under it (see repository/session.py)."""

    @property
    def repository(self) -> Repository: ...
    @property
    def index(self) -> IndexMap: ...
    @property
    def loader(self) -> BlobLoader: ...
    @property
    def sizes(self) -> Sizes: ...
    def check_lock(self) -> None: ...
    def confirm(self) -> None: ...
    def refresh(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRun:
    """What every call of a restore needs. Valid while the lock is held."""

    repository: Repository
    index: IndexMap
    loader: BlobLoader
    workspace: Workspace
    run_id: str
    options: RestoreOptions
    sizes: RestoreSizes
    check_lock: Callable[[], None]
    confirm: Callable[[], None]
    """Before something is said to be missing or damaged: raises LockLostError where it was removed under us."""
    refresh: Callable[[], None]

    @classmethod
    def under(cls, held: Held, run_id: str, options: RestoreOptions) -> "RestoreRun":
        """The run inside `with session.hold() as held`."""
        return cls(
            repository=held.repository,
            index=held.index,
            loader=held.loader,
            workspace=Workspace(held.repository, run_id),
            run_id=run_id,
            options=options,
            sizes=held.sizes.restore,
            check_lock=held.check_lock,
            confirm=held.confirm,
            refresh=held.refresh,
        )


class RestoreCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of a restore or a part of it; field by field what contracts.restore.RestoreTotals carries.

    bytes are of file content. bytes_to_write: what the target grows by as far as metadata tells, holes and what is
    there already left out. bytes_kept: content that was on disk and did not have to be fetched. files_kept: files that
    were there, equal in content; at most their attributes were corrected. files_skipped: paths that the overwrite rule
    protects, files or not. incomplete: paths that were restored, but not with all that belongs to them.
    """

    files: int = 0
    dirs: int = 0
    others: int = 0
    bytes_total: int = 0
    bytes_to_write: int = 0
    bytes_written: int = 0
    bytes_kept: int = 0
    files_written: int = 0
    files_kept: int = 0
    files_skipped: int = 0
    files_deleted: int = 0
    errors: int = 0
    incomplete: int = 0

    def plus(self, other: "RestoreCounts") -> "RestoreCounts":
        """The sum, field by field."""
        return RestoreCounts(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardProgress:
    """How far a shard (or a finish, or a verification) is; for display and heartbeats."""

    files_done: int = 0
    bytes_done: int = 0


Progress = Callable[[ShardProgress], None]
"""Called from a worker thread, often; it must be quick. What it raises ends the call that it was given to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOpened:
    """The run is open. target_state: what was there when the run began: "absent", "empty" or "used".

    has_room: the target can take the whole snapshot, so shards may be restored before the plan is whole. ahead:
    snapshots that are dated in the future, where the latest one was asked for.
    """

    snapshot_id: str
    tree: str
    time_ns: int
    host: str
    target: bytes
    target_state: str
    dry_run: bool
    resumed: bool
    has_room: bool
    ahead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSummary:
    """One page of the plan stands: its shards are first_shard … first_shard + shards - 1."""

    page: int
    first_shard: int
    shards: int
    last: bool
    counts: RestoreCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSummary:
    """One shard's files are whole under their final names, or listed as failed (segments: written)."""

    shard: int
    counts: RestoreCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The tree stands; partial when any path failed, or lost something, in any step. counts: of the finish alone."""

    partial: bool
    errors_of_run: int
    counts: RestoreCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What reading back found; `problems` are the first of them, in full they are in the workspace."""

    ok: bool
    files: int
    blobs: int
    bytes_read: int
    problem_count: int
    problems: tuple[tuple[bytes, str], ...]

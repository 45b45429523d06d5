"""The repository's snapshots: list, find, save."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from holdfast.errors import HoldfastError
from holdfast.format.snapshot import Snapshot
from holdfast.ids import SnapshotId
from holdfast.repository.repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSnapshot:
    id: SnapshotId
    snapshot: Snapshot
    time_ns: int


def list_snapshots(
    repository: Repository,
    *,
    on_unreadable: Callable[[SnapshotId, HoldfastError], None] | None = None,
) -> list[StoredSnapshot]:
    """All readable snapshots, oldest first."""
    raise NotImplementedError


def find_snapshot(
    repository: Repository,
    selector: str,
    *,
    hosts: Sequence[str] = (),
    paths: Sequence[str] = (),
    tags: Sequence[str] = (),
) -> StoredSnapshot:
    """`latest` (with the filters) or an id or its prefix. Raises SnapshotNotFoundError."""
    raise NotImplementedError


def save_sealed(repository: Repository, sealed: bytes) -> SnapshotId:
    raise NotImplementedError

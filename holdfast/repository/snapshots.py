"""Snapshots of the repository are listed, found and saved.

List them before the index is loaded: a snapshot seen then has all its blobs in the index that is read after it.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from holdfast.errors import (
    CorruptFileError,
    HoldfastError,
    SnapshotNotFoundError,
    StoredFileMissingError,
)
from holdfast.format.sealed import decode_file
from holdfast.format.snapshot import Snapshot, changed_snapshot, decode_snapshot
from holdfast.ids import SnapshotId, is_hex_id, short, to_hex
from holdfast.repository.choice import ALL, Choice
from holdfast.repository.layout import SNAPSHOTS, file_name, list_ids
from holdfast.repository.repository import Repository
from holdfast.terms import LATEST
from holdfast.units import NS_PER_S, counted

MAX_SKEW_NS: Final = 10 * 60 * NS_PER_S
SNAPSHOT_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""Snapshots list their paths, and restic's `--files-from` makes these lists long."""
_SHOWN_IDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSnapshot:
    """A snapshot and the id that it is stored under. time_ns: nanoseconds since 1970, parsed from `snapshot.time`.

    ahead: where it is the latest one, those that are dated in the future; itself among them where all are.
    """

    id: SnapshotId
    snapshot: Snapshot
    time_ns: int
    ahead: tuple[SnapshotId, ...] = ()


def list_snapshots(
    repository: Repository,
    *,
    on_unreadable: Callable[[SnapshotId, HoldfastError], None] | None = None,
) -> list[StoredSnapshot]:
    """All snapshots that can be read, oldest first; each other one is told to `on_unreadable`.

    Raises:
        StorageDeniedError, StorageUnavailableError: from the storage; this is no snapshot's fault.
    """
    listed = {SnapshotId(raw): size for raw, size in list_ids(repository.storage, SNAPSHOTS)}
    texts = {} if repository.roll is None else repository.roll.read(listed)
    kept = len(texts)
    found: list[StoredSnapshot] = []
    for snapshot_id, read in _read(repository, listed, dict(texts)):
        try:
            if isinstance(read, CorruptFileError):
                raise read
            found.append(_stored(snapshot_id, read))
            texts[snapshot_id] = read
        except CorruptFileError as error:
            if on_unreadable is not None:
                on_unreadable(snapshot_id, _named(snapshot_id, error))
    if repository.roll is not None:
        repository.roll.renew(listed, kept, texts)
    return sorted(found, key=lambda stored: (stored.time_ns, stored.id))


def _read(
    repository: Repository, listed: Iterable[SnapshotId], texts: Mapping[SnapshotId, bytes]
) -> Iterator[tuple[SnapshotId, bytes | CorruptFileError]]:
    """What each of the listed snapshots says: those in `texts` as they stand there, all others from the storage."""

    def load(snapshot_id: SnapshotId) -> bytes | CorruptFileError | None:
        try:
            return load_json(repository, snapshot_id)
        except StoredFileMissingError:
            return None  # forgotten since it was listed
        except CorruptFileError as error:
            return error

    yield from texts.items()
    missing = [snapshot_id for snapshot_id in listed if snapshot_id not in texts]
    readers = repository.storage.traits.requests
    with ThreadPoolExecutor(readers, thread_name_prefix="snapshots") as pool:
        for snapshot_id, read in zip(missing, pool.map(load, missing), strict=True):
            if read is not None:
                yield snapshot_id, read


def raise_unreadable(snapshot_id: SnapshotId, error: HoldfastError) -> None:
    """For `on_unreadable`: what cannot be read may be what is meant.

    Raises:
        CorruptFileError: always.
    """
    raise CorruptFileError(
        f"the snapshot {short(snapshot_id)} cannot be read, and may be one that is meant: {error.message}",
        hint="Name snapshots by their ids; `restore`, `ls` and `verify` take --ignore-damaged.",
    ) from error


def load_snapshot(repository: Repository, snapshot_id: SnapshotId) -> StoredSnapshot:
    """One snapshot.

    Raises:
        StoredFileMissingError: there is none of that id.
        CorruptFileError: it cannot be read.
    """
    try:
        return _stored(snapshot_id, load_json(repository, snapshot_id))
    except CorruptFileError as error:
        raise _named(snapshot_id, error) from error


def _stored(snapshot_id: SnapshotId, json: bytes) -> StoredSnapshot:
    snapshot = decode_snapshot(json)
    return StoredSnapshot(id=snapshot_id, snapshot=snapshot, time_ns=snapshot.time_ns)


def _named(snapshot_id: SnapshotId, error: CorruptFileError) -> CorruptFileError:
    return CorruptFileError(f"snapshot {short(snapshot_id)}: {error.message}")


def load_json(repository: Repository, snapshot_id: SnapshotId) -> bytes:
    """What a snapshot's file says. Raises as `load_snapshot`."""
    return repository.load_file(SNAPSHOTS, snapshot_id, limit_bytes=SNAPSHOT_LIMIT_BYTES)


def find_snapshot(
    repository: Repository,
    selector: str,
    choice: Choice = ALL,
    *,
    ignore_damaged: bool = False,
) -> StoredSnapshot:
    """The snapshot that a person means: `latest`, an id, or the beginning of one.

    choice: applies to `latest` only, as in restic. ignore_damaged: let `latest` be the newest of those that can be
    read.

    Raises:
        SnapshotNotFoundError: none matches, or several begin so.
        CorruptFileError: the one that was named cannot be read; or `latest` was, and there is one that cannot be read:
            nobody knows its time, so it may be the newest.
    """
    if selector == LATEST:
        return newest(repository, choice.takes, ignore_damaged=ignore_damaged, asked=str(choice))
    snapshot_id = (
        SnapshotId(bytes.fromhex(selector)) if is_hex_id(selector) else _by_prefix(repository, selector)
    )
    try:
        return load_snapshot(repository, snapshot_id)
    except StoredFileMissingError as error:
        raise _not_found(f"there is no snapshot {selector}") from error


def chosen_snapshots(
    repository: Repository,
    names: Sequence[str] = (),
    choice: Choice = ALL,
    *,
    on_unreadable: Callable[[SnapshotId, HoldfastError], None] | None = raise_unreadable,
) -> list[StoredSnapshot]:
    """Those that are named, as `find_snapshot` takes names, each once; without a name all that the choice takes, oldest
    first, of which there may be none. on_unreadable: as `list_snapshots` takes it.

    Raises:
        SnapshotNotFoundError: one that is named does not exist.
        CorruptFileError: one cannot be read that is named, or that may be meant.
    """
    if names:
        found = (find_snapshot(repository, name, choice) for name in names)
        return list({stored.id: stored for stored in found}.values())
    return [
        stored
        for stored in list_snapshots(repository, on_unreadable=on_unreadable)
        if choice.takes(stored.snapshot)
    ]


def is_ahead(stored: StoredSnapshot, now_ns: int) -> bool:
    """Whether a snapshot is dated in the future: by more than clocks of hosts may differ."""
    return stored.time_ns > now_ns + MAX_SKEW_NS


def latest_of(oldest_first: Sequence[StoredSnapshot], now_ns: int) -> StoredSnapshot:
    """The newest of some snapshots (there is one) that is not dated in the future, with those that are.

    Where all are, it is one of them: then it is more likely that this clock is wrong.
    """
    present = [stored for stored in oldest_first if not is_ahead(stored, now_ns)]
    ahead = tuple(stored.id for stored in oldest_first if is_ahead(stored, now_ns))
    return replace((present or oldest_first)[-1], ahead=ahead)


def replace_snapshot(
    repository: Repository,
    old: StoredSnapshot,
    changes: Mapping[str, object],
    check_lock: Callable[[], None],
    *,
    standing: Sequence[StoredSnapshot],
    keep_old: bool = False,
) -> SnapshotId:
    """Store a snapshot again with other values of some members of its JSON, and remove the old file; the new one's id.

    Under the exclusive lock:

        1. the new snapshot is stored;
        2. the old one's file is removed, unless it is to be kept.

    A crash in between leaves both. Doing it again finds the new one and does step 2 alone: standing are the snapshots
    that were listed under this lock, and one among them that says the same is not stored again. check_lock raises
    when the lock is lost.

    Raises:
        StoredFileMissingError: the old one is gone.
        CorruptFileError: it cannot be read.
    """
    json = changed_snapshot(load_json(repository, old.id), changes)
    wanted = decode_snapshot(json)
    new = next((other.id for other in standing if other.id != old.id and other.snapshot == wanted), None)
    if new is None:
        check_lock()
        new = SnapshotId(repository.save_file(SNAPSHOTS, json))
    if not keep_old:
        check_lock()
        repository.storage.delete(file_name(SNAPSHOTS, old.id))
    return new


def save_sealed(repository: Repository, sealed: bytes) -> SnapshotId:
    """Store a sealed snapshot under its id. Doing it twice is doing it once.

    Raises:
        CorruptFileError: the bytes are not a snapshot sealed with this repository's key.
    """
    decode_snapshot(decode_file(repository.sealer(), sealed, limit_bytes=SNAPSHOT_LIMIT_BYTES))
    return SnapshotId(repository.save_sealed_file(SNAPSHOTS, sealed))


def newest(
    repository: Repository,
    is_meant: Callable[[Snapshot], bool],
    *,
    ignore_damaged: bool = False,
    asked: str = "",
) -> StoredSnapshot:
    """The newest of the snapshots that are meant. asked: the words for which those are.

    Raises:
        SnapshotNotFoundError: there is none.
        CorruptFileError: a snapshot cannot be read, and so may be the newest; unless ignore_damaged.
    """
    unreadable: list[SnapshotId] = []
    everything = list_snapshots(
        repository, on_unreadable=lambda snapshot_id, _: unreadable.append(snapshot_id)
    )
    if unreadable and not ignore_damaged:
        raise _may_be_newest(repository, unreadable)
    passing = [stored for stored in everything if is_meant(stored.snapshot)]
    if passing:
        return latest_of(passing, time.time_ns())
    note = f"; {len(unreadable)} cannot be read" if unreadable else ""
    if not everything:
        raise _not_found(f"{repository.storage.location}: there is no snapshot yet{note}")
    raise _not_found(none_of(len(everything), asked) + note)


def none_of(count: int, asked: str) -> str:
    """The words where there are snapshots, and none that is meant."""
    which = "the snapshot is not" if count == 1 else f"none of the {count} snapshots is"
    return f"{which} of {asked or 'those that are meant'}"


def _may_be_newest(repository: Repository, unreadable: Sequence[SnapshotId]) -> CorruptFileError:
    shown = ", ".join(short(snapshot_id) for snapshot_id in unreadable[:_SHOWN_IDS])
    more = f" and {len(unreadable) - _SHOWN_IDS} more" if len(unreadable) > _SHOWN_IDS else ""
    one = len(unreadable) == 1
    return CorruptFileError(
        f"{repository.storage.location}: {'the snapshot' if one else 'the snapshots'} {shown}{more} cannot be read, "
        f"so nobody can say which one is the latest",
        hint="Name a snapshot by its id (`holdfast snapshots` lists them); `restore`, `ls` and `verify` take "
        "--ignore-damaged for the newest one that can be read.",
    )


def _by_prefix(repository: Repository, prefix: str) -> SnapshotId:
    candidates = [
        SnapshotId(raw)
        for raw, _ in list_ids(repository.storage, SNAPSHOTS)
        if prefix and to_hex(raw).startswith(prefix)
    ]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise _not_found(f"no snapshot's id begins with {prefix[:64]!r}")
    shown = ", ".join(to_hex(candidate)[: len(prefix) + 4] for candidate in candidates[:_SHOWN_IDS])
    raise SnapshotNotFoundError(
        f"{counted(len(candidates), 'snapshot begins', 'snapshots begin')} with {prefix[:64]!r}: {shown}",
        hint="Give more digits of the id.",
    )


def _not_found(message: str) -> SnapshotNotFoundError:
    return SnapshotNotFoundError(message, hint="`holdfast snapshots` lists what there is.")

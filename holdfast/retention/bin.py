"""The bin keeps what was forgotten, so that it can be taken back: `holdfast/bin/<snapshot id>` in the companion.

A document holds the snapshot's file as it was stored, so what is taken back is the same snapshot under the same id. As
long as the document is there, what the snapshot needs counts as used (`bin_roots`); our prune goes by that, stock
restic's does not know it.

Forgetting, under the shared lock, with what a crash leaves:

    1. the snapshot's file is read from the store, not from this host's cache. If it is gone, it was forgotten before;
    2. the document is written, in place of an earlier one, and read back. A crash leaves the snapshot, and a document
       that does no harm: the bin shows only what is not among the snapshots;
    3. the lock is looked at. A process that was frozen until the document had gone stops here;
    4. the snapshot's file is removed. It is in the bin.

Taking back, under the shared lock:

    1. the document is read, and every blob of the snapshot is looked up in the index: what stock restic has pruned
       since cannot come back;
    2. the lock is looked at, the file is stored under its name, and the lock is looked at again. If that has gone, the
       file is removed again, because a prune may have come in between. A crash leaves either;
    3. the document stays until its time is over. A forgetting that was frozen before its step 4, and wakes up now, so
       only puts the snapshot into the bin again.

What is past its time is removed from the bin (`empty_bin`) by the later of two clocks' opinions, ours and the
companion's: one wrong clock shortens nobody's time. What is held, or from before an open alarm, stays there too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.errors import (
    BlobMissingError,
    CorruptFileError,
    LockLostError,
    SnapshotNotFoundError,
    StoredFileMissingError,
    UsageError,
)
from holdfast.format.sealed import decode_file
from holdfast.format.snapshot import decode_snapshot
from holdfast.ids import BlobId, SnapshotId, from_hex, sha256, short, to_hex
from holdfast.repository.companion import time_ns_of
from holdfast.repository.documents import encode
from holdfast.repository.kept_trees import is_whole
from holdfast.repository.layout import SNAPSHOTS, file_name, list_ids
from holdfast.repository.repository import Repository
from holdfast.repository.sealed_folder import SealedFolder
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import SNAPSHOT_LIMIT_BYTES, StoredSnapshot, save_sealed
from holdfast.retention.holds import Proofs, protections
from holdfast.retention.places import Places
from holdfast.units import NS_PER_S, counted

BIN: Final = "holdfast/bin"


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """See `Binned`; sealed: the snapshot's file."""

    sealed: bytes
    forgotten_ns: int
    until_ns: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Binned:
    """A snapshot in the bin. Since when, and until when at least, in ns since 1970; who forgot it, and why."""

    stored: StoredSnapshot
    forgotten_ns: int
    until_ns: int
    by: str
    reason: str


class _Bin(SealedFolder):
    hint = "A document of the bin is damaged: what it held cannot be taken back. Remove this file by hand to go on."


def forget_snapshot(
    held: HeldRepository, snapshot_id: SnapshotId, *, now_ns: int, keep_s: float, by: str, reason: str
) -> bool:
    """Put a snapshot into the bin, and remove it; whether it was there.

    Raises:
        UsageError: the companion keeps no documents, so there is no bin.
        LockLostError: our lock could not be kept; the snapshot is there.
    """
    repository = held.repository
    name = file_name(SNAPSHOTS, snapshot_id)
    try:
        sealed = repository.bare.get(name, limit_bytes=SNAPSHOT_LIMIT_BYTES)
    except StoredFileMissingError:
        return False
    document = encode(
        _Document(
            sealed=sealed,
            forgotten_ns=now_ns,
            until_ns=now_ns + round(keep_s * NS_PER_S),
            by=by,
            reason=reason,
        )
    )
    if sha256(sealed) != snapshot_id:
        raise CorruptFileError(
            f"{name}: the content is not what the name says, so it cannot be kept in the bin",
            hint="`holdfast verify` says what is damaged. Nothing was removed.",
        )
    folder = _places(repository).written
    folder.put(to_hex(snapshot_id), document)
    if folder.get(to_hex(snapshot_id)) != document:
        raise CorruptFileError(
            f"{repository.companion.location}: what was written to the bin reads otherwise"
        )
    held.confirm_lock()
    repository.storage.delete(name)
    return True


def take_back(held: HeldRepository, prefix: str) -> SnapshotId:
    """Take a snapshot out of the bin, by the beginning of its id.

    Raises:
        SnapshotNotFoundError: none in the bin begins so, or several do.
        BlobMissingError: what it needs is gone.
        LockLostError: our lock could not be kept; the snapshot is in the bin still.
    """
    repository = held.repository
    binned = _chosen(binned_snapshots(repository), prefix)
    stored = binned.stored
    if not is_whole(held, BlobId(from_hex(stored.snapshot.tree))):
        raise BlobMissingError(
            f"the snapshot {short(stored.id)} cannot be taken back: some of its data is gone",
            hint="Another program than Holdfast has pruned the repository since. It stays in the bin as it is.",
        )
    document = _places(repository).load(to_hex(stored.id), _Document)
    if document is None:
        raise SnapshotNotFoundError(f"the snapshot {short(stored.id)} has left the bin just now")
    held.confirm()
    save_sealed(repository, document.sealed)
    try:
        held.confirm_lock()
    except LockLostError:
        repository.storage.delete(file_name(SNAPSHOTS, stored.id))
        raise
    return stored.id


def binned_snapshots(repository: Repository) -> list[Binned]:
    """What can be taken back, oldest first.

    Raises:
        CorruptFileError: a document cannot be read.
    """
    there = {raw for raw, _ in list_ids(repository.storage, SNAPSHOTS)}
    return [binned for binned in _all(repository) if binned.stored.id not in there]


def bin_roots(repository: Repository) -> list[StoredSnapshot]:
    """The snapshots whose data counts as used because of the bin: those that are taken back or past their time, too.

    Raises:
        CorruptFileError: a document cannot be read, so nobody knows what it needs.
    """
    return [binned.stored for binned in _all(repository)]


def empty_bin(repository: Repository, now_ns: int) -> int:
    """Remove from the bin what is past its time; how many. A crash leaves some of it, for the next time."""
    over = [binned for binned in _all(repository) if binned.until_ns < now_ns]
    if not over:
        return 0
    known, now_ns = (
        protections(repository, (), Proofs(), now_ns),
        min(now_ns, time_ns_of(repository.companion)),
    )
    over = [one for one in over if one.until_ns < now_ns and not known.holding(one.stored, now_ns)]
    _remove(repository, over)
    return len(over)


def drop(repository: Repository, prefixes: Sequence[str], now_ns: int) -> list[Binned]:
    """Let snapshots leave the bin before their time, by the beginnings of their ids; without any, all that are not
    held. They can no longer be taken back.

    Raises:
        SnapshotNotFoundError: none in the bin begins so, or several do.
        UsageError: one that is named is held.
    """
    everything, known = binned_snapshots(repository), protections(repository, (), Proofs(), now_ns)
    named = [_chosen(everything, prefix) for prefix in prefixes]
    for one in named:
        holding = known.holding(one.stored, now_ns)
        if holding:
            raise UsageError(
                f"the snapshot {short(one.stored.id)} stays in the bin: {', '.join(holding)}",
                hint="`holdfast holds` shows what is held, `holdfast release` lets go of it.",
            )
    going = named or [one for one in everything if not known.holding(one.stored, now_ns)]
    _remove(repository, going)
    return going


def _remove(repository: Repository, going: Sequence[Binned]) -> None:
    places = _places(repository)
    for binned in going:
        places.remove(to_hex(binned.stored.id))


def _all(repository: Repository) -> list[Binned]:
    found = [_binned(repository, document) for document in _places(repository).load_all(_Document)]
    return sorted(found, key=lambda binned: (binned.stored.time_ns, binned.stored.id))


def _places(repository: Repository) -> Places:
    return Places(repository, BIN, _Bin)


def _binned(repository: Repository, document: _Document) -> Binned:
    json = decode_file(repository.sealer(), document.sealed, limit_bytes=SNAPSHOT_LIMIT_BYTES)
    snapshot = decode_snapshot(json)
    return Binned(
        stored=StoredSnapshot(
            id=SnapshotId(sha256(document.sealed)), snapshot=snapshot, time_ns=snapshot.time_ns
        ),
        forgotten_ns=document.forgotten_ns,
        until_ns=document.until_ns,
        by=document.by,
        reason=document.reason,
    )


def _chosen(binned: Sequence[Binned], prefix: str) -> Binned:
    found = [one for one in binned if prefix and to_hex(one.stored.id).startswith(prefix)]
    if len(found) != 1:
        what = "no snapshot" if not found else counted(len(found), "snapshot")
        raise SnapshotNotFoundError(
            f"{what} in the bin begins with {prefix[:64]!r}" if not found else f"{what} in the bin begin so",
            hint="`holdfast unforget` without an id lists what is in the bin.",
        )
    return found[0]

"""A person asks for locks to be removed: those of the dead, or all. Each lock that stays is shown with its reason.

What is dead is judged as everywhere (lock_files.py, ADR 0035), with one exception: an exclusive lock that was not
written for 30 minutes, by its text and by the storage's time of the file, goes as well. Nothing removes it unasked;
here a person asks. A holder that lives writes its lock each five minutes, and one that is frozen for so long touches
nothing when it wakes up (locking.py). A lock from the future, and one that cannot be read, stay: their age is unknown.

The storage's time of now is that of a shared lock that is written for this, and removed again. With `everything` no
lock is read, nor judged, as with `restic unlock --remove-all`.
"""

from dataclasses import dataclass
from typing import Final

from holdfast.errors import CorruptFileError
from holdfast.format.lock import Lock
from holdfast.ids import LockId
from holdfast.repository.layout import LOCKS, file_name
from holdfast.repository.lock_files import (
    STALE_S,
    current_locks,
    is_dead,
    remove_lock,
    storage_time,
    stored_locks,
    write_lock,
)
from holdfast.repository.repository import Repository

_FUTURE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedLock:
    """A lock, and what became of it. lock: None where it was not read, or cannot be. why: for people."""

    id: LockId
    lock: Lock | None
    removed: bool
    why: str


def unlock(repository: Repository, *, everything: bool = False) -> list[JudgedLock]:
    """Remove the locks of the dead, or all; every lock that there was.

    Raises:
        RepositoryLockedError: another process removes locks at the same time.
        StorageDeniedError, StorageUnavailableError: from the storage. What was removed until then stays removed.
    """
    if everything:
        found = sorted(stored_locks(repository))
        repository.storage.delete_many(file_name(LOCKS, lock_id) for lock_id in found)
        return [JudgedLock(id=lock_id, lock=None, removed=True, why="all were to go") for lock_id in found]
    own = write_lock(repository, exclusive=False)
    try:
        locks = current_locks(repository, {})
        now_ns = storage_time(locks, own, repository.storage.location)
        judged = [
            _judge(lock_id, lock, now_ns=now_ns, written_ns=written_ns)
            for lock_id, lock, written_ns in locks
            if lock_id != own
        ]
        repository.storage.delete_many(file_name(LOCKS, lock.id) for lock in judged if lock.removed)
        return judged
    finally:
        remove_lock(repository, own)


def _judge(lock_id: LockId, lock: Lock | CorruptFileError, *, now_ns: int, written_ns: int) -> JudgedLock:
    if isinstance(lock, CorruptFileError):
        return JudgedLock(id=lock_id, lock=None, removed=False, why="it cannot be read, and may be anybody's")
    age_s = (now_ns - max(lock.time_ns, written_ns)) / 1e9
    if is_dead(lock):
        removed, why = True, "its process has ended"
    elif age_s > STALE_S:
        removed, why = True, "it was not written for 30 minutes"
    elif age_s < -_FUTURE_S:
        removed, why = False, "it is from the future: that clock or this one is wrong"
    else:
        removed, why = False, f"it was written {max(0.0, age_s) / 60:.0f} minutes ago"
    return JudgedLock(id=lock_id, lock=lock, removed=removed, why=why)

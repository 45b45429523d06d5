"""Lock files are written, looked at, and removed where certainly nobody holds them.

Write our own, wait, look for locks that exclude it, and withdraw if there is one. Of two that exclude each other at
least one sees the other: what writes second finds the first one's lock afterwards. restic (its
internal/repository/lock.go) looks before it writes as well, and waits 200 ms wherever it is; here the storage says for
how long its listings show what has gone. The look before is for courtesy: an exclusive lock that is tried again and
again would keep others out for moments, and so would a shared one that was refused. So only these look first; for all
others it is a request less.

A lock that is refreshed is another file: the new one is written, then the old one goes. So one look may miss it, where
the old file has gone before it is read and the new one came after the listing. `current_locks` lists again then.

What is removed unasked, and what never is (docs/adr/0035-locks-that-are-certainly-dead.md):

    - a lock that one of our own processes wrote in this very place (identity.py), and that process has ended: at once;
    - a shared lock of anybody that was not written for 30 minutes, by its text and by the storage's own time of the
      file, both compared with the storage's time of the lock that we have just written. So no clock of a host counts
      by itself: not the holder's, which may be wrong, and not ours;
    - an exclusive lock of anybody else: never. Nor one from the future, as long as its clock says so.
"""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from holdfast.errors import (
    CorruptFileError,
    HoldfastError,
    RepositoryLockedError,
    StorageDeniedError,
    StoredFileMissingError,
)
from holdfast.format.lock import Holder, Lock, decode_lock, encode_lock
from holdfast.format.times import format_time
from holdfast.ids import LockId, from_hex, is_hex_id, short
from holdfast.repository.identity import is_gone, started_at, this_host, this_place, this_user
from holdfast.repository.layout import LOCKS, file_name
from holdfast.repository.repository import Repository
from holdfast.storage.parallel import ask_all

STALE_S: Final = 1800.0
_SKEW_S: Final = 300.0
"""Clocks that differ by more are worth a word: restic judges locks by their text alone."""
_FUTURE_S: Final = 60.0
_LISTINGS: Final = 3
StoredLock: TypeAlias = tuple[LockId, Lock | CorruptFileError, int]
"""A lock's id and text, or why it cannot be read; and when it was written, by the storage's clock."""
_LOG: Final = logging.getLogger(__name__)


def take_lock(repository: Repository, *, exclusive: bool, look_first: bool = True) -> LockId:
    """Look if asked to, write, look; the id of our lock.

    Raises:
        RepositoryLockedError: another's lock excludes ours, or cannot be read, and so might.
        StorageDeniedError, StorageFullError, StorageUnavailableError: the lock cannot be written.
    """
    others: dict[LockId, Lock | CorruptFileError] = {}
    if look_first:
        _look(repository, None, others, exclusive=exclusive)
    lock = _ours(exclusive=exclusive)
    try:
        lock_id = _save(repository, lock)
    except StorageDeniedError as error:
        raise StorageDeniedError(
            f"nothing can be locked: {error.message}",
            hint=f"{error.hint} A command that only reads can do without a lock: --no-lock.".strip(),
        ) from error
    others[lock_id] = lock
    try:
        # After that, no listing under this lock shows an index file that a prune before it has removed.
        time.sleep(repository.storage.settle_s)
        _look(repository, lock_id, others, exclusive=exclusive)
    except BaseException:
        remove_lock(repository, lock_id)
        raise
    return lock_id


def write_lock(repository: Repository, *, exclusive: bool) -> LockId:
    """Store a lock of this process, as of now; its id."""
    return _save(repository, _ours(exclusive=exclusive))


def _ours(*, exclusive: bool) -> Lock:
    pid, place = os.getpid(), this_place()
    started = started_at(pid) if place else None
    return Lock(
        time=format_time(time.time_ns()),
        exclusive=exclusive,
        hostname=this_host(),
        username=this_user(),
        pid=pid,
        uid=os.getuid(),
        gid=os.getgid(),
        holdfast=None if started is None else Holder(place=place, started=started),
    )


def _save(repository: Repository, lock: Lock) -> LockId:
    return LockId(repository.save_file(LOCKS, encode_lock(lock)))


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingLock:
    """A lock that keeps the exclusive one away. holder: user, host, process and time, in words.

    process: which of our own processes holds it, by a name that no other ever has; empty for another program's.
    """

    holder: str
    process: str = ""


def standing_locks(repository: Repository) -> list[StandingLock]:
    """The locks for which the exclusive one would have to wait, in no order.

    Raises:
        StorageUnavailableError, StorageDeniedError: from the storage.
    """
    found: list[StandingLock] = []
    now_ns = time.time_ns()
    for lock_id, lock, written_ns in current_locks(repository, {}):
        if isinstance(lock, CorruptFileError):
            found.append(StandingLock(holder=f"the lock {short(lock_id)}, which cannot be read"))
        elif not is_dead(lock) and not is_old(lock, now_ns=now_ns, written_ns=written_ns):
            found.append(StandingLock(holder=_holder(lock), process=_process(lock)))
    return found


def standing_processes(repository: Repository, now_ns: int) -> set[str]:
    """The processes that have a lock, but this one: a name for each, which refreshing its lock does not change. Who is
    not among them has given its lock back, or can use it no more; for ever, if it took none since.

    1. a first look. Shared locks that were not written for 30 minutes are removed: a client that was frozen for so long
       goes on when it wakes up if its lock's file is there (restic from 0.15 on), and only then;
    2. a second one, for those that woke up in between, or were refreshed while a listing was made.

    now_ns: the storage's time of now, because a clock of this host that is ahead would make locks old.

    Raises:
        StorageUnavailableError, StorageDeniedError: from the storage.
    """
    found: set[str] = set()
    for lock_id, lock, written_ns in current_locks(repository, {}):
        if isinstance(lock, Lock) and is_old(lock, now_ns=now_ns, written_ns=written_ns):
            _remove(repository, lock_id, lock, "it was not written for 30 minutes")
        else:
            found.add(_name(lock_id, lock))
    found.update(_name(lock_id, lock) for lock_id, lock, _ in current_locks(repository, {}))
    return found - {"", _own_name()}


def _holder(lock: Lock) -> str:
    return f"{lock.username} on {lock.hostname}, process {lock.pid}, since {lock.time[:19]}"


def _process(lock: Lock) -> str:
    holder = lock.holdfast
    return "" if holder is None else f"{holder.place}/{lock.pid}/{holder.started}"


def _own_name() -> str:
    return f"{this_place()}/{os.getpid()}/{started_at(os.getpid())}"


def _name(lock_id: LockId, lock: Lock | CorruptFileError) -> str:
    """What the holder of a lock is called as long as it lives; empty where it has certainly ended."""
    if isinstance(lock, CorruptFileError):
        return f"lock {short(lock_id)}"
    return "" if is_dead(lock) else _process(lock) or f"{lock.username} {lock.hostname} {lock.pid}"


def remove_dead_locks(repository: Repository) -> int:
    """Remove the locks of our own processes of this place that have ended; how many there were.

    Raises:
        StorageDeniedError, StorageUnavailableError: from the storage.
    """
    removed = 0
    for lock_id, lock, _ in current_locks(repository, {}):
        if isinstance(lock, Lock) and is_dead(lock):
            _remove(repository, lock_id, lock, "its process has ended")
            removed += 1
    return removed


def is_dead(lock: Lock) -> bool:
    """Whether the process that wrote it has certainly ended. False says nothing."""
    holder = lock.holdfast
    return holder is not None and is_gone(holder.place, lock.pid, holder.started)


def is_old(lock: Lock, *, now_ns: int, written_ns: int) -> bool:
    """Whether nobody has written a shared lock for so long that its holder must have stopped by itself.

    now_ns, written_ns: the storage's time of now, and of the file.
    """
    youngest_ns = max(lock.time_ns, written_ns)
    return not lock.exclusive and now_ns - youngest_ns > STALE_S * 1e9


def _look(
    repository: Repository,
    own: LockId | None,
    others: dict[LockId, Lock | CorruptFileError],
    *,
    exclusive: bool,
) -> None:
    """Look at all other locks. With our own written, those that nobody holds are removed on the way, or counted where
    nothing can be removed.

    others: what an earlier look has read, and our own lock, for the next one: a lock's file never changes.

    Raises:
        RepositoryLockedError: one is exclusive or excluded by ours, or cannot be read, and so might be.
    """
    locks = current_locks(repository, others)
    now_ns = time.time_ns() if own is None else storage_time(locks, own, repository.storage.location)
    kept: list[StorageDeniedError] = []
    for lock_id, lock, written_ns in locks:
        if lock_id == own:
            continue
        if isinstance(lock, CorruptFileError):
            raise RepositoryLockedError(
                f"{repository.storage.location}: the lock {short(lock_id)} cannot be read, and may be anybody's",
                hint="If nobody uses the repository, remove it with `holdfast unlock --remove-all`.",
            ) from lock
        has_ended = is_dead(lock)
        if has_ended or is_old(lock, now_ns=now_ns, written_ns=written_ns):
            if own is None:  # no time of the storage is known yet, and nothing is removed
                continue
            why = "its process has ended" if has_ended else "it was not written for 30 minutes"
            try:
                _remove(repository, lock_id, lock, why)
            except StorageDeniedError as error:
                kept.append(error)
        elif lock.exclusive or exclusive:
            raise _locked(repository, lock, now_ns, written_ns)
    if kept:
        _LOG.warning(
            "%d locks that nobody holds stay, because they cannot be removed: %s", len(kept), kept[0].message
        )


def stored_locks(repository: Repository) -> dict[LockId, int]:
    """The lock files, and when each was written by the storage's clock."""
    listed = ((file.name.rpartition("/")[2], file.modified_ns) for file in repository.storage.list(LOCKS))
    return {LockId(from_hex(name)): written_ns for name, written_ns in listed if is_hex_id(name)}


def current_locks(repository: Repository, known: dict[LockId, Lock | CorruptFileError]) -> list[StoredLock]:
    """The locks that are there, with the storage's time of each. Those that are `known` are not read; others become so.

    One that goes between the listing and the reading was given back, or refreshed: only another listing tells.
    """

    def load(lock_id: LockId) -> Lock | CorruptFileError | None:
        try:
            return decode_lock(repository.load_file(LOCKS, lock_id))
        except StoredFileMissingError:
            return None
        except CorruptFileError as error:
            return error

    found: list[StoredLock] = []
    for _ in range(_LISTINGS):
        stored = stored_locks(repository)
        unknown = [lock_id for lock_id in stored if lock_id not in known]
        loaded = list(ask_all(repository.storage, load, unknown))
        known.update(
            (lock_id, lock) for lock_id, lock in zip(unknown, loaded, strict=True) if lock is not None
        )
        found = [
            (lock_id, known[lock_id], written_ns)
            for lock_id, written_ns in stored.items()
            if lock_id in known
        ]
        if None not in loaded:
            break
    return found


def storage_time(locks: Sequence[StoredLock], own: LockId, location: str) -> int:
    """The storage's time of now: that of the lock that we have just written. Tells when our clock is another.

    Raises:
        RepositoryLockedError: it is not among the locks.
    """
    now_ns = next((written_ns for lock_id, _, written_ns in locks if lock_id == own), None)
    if now_ns is None:
        raise RepositoryLockedError(
            f"{location}: our lock was removed at once",
            hint="A client runs `restic unlock --remove-all` or prunes: wait until that has ended.",
        )
    skew_s = (time.time_ns() - now_ns) / 1e9
    if abs(skew_s) > _SKEW_S:
        _LOG.warning(
            "this host's clock is %.0f minutes %s that of %s: restic on other hosts may take its locks for stale ones",
            abs(skew_s) / 60,
            "ahead of" if skew_s > 0 else "behind",
            location,
        )
    return now_ns


def _remove(repository: Repository, lock_id: LockId, lock: Lock, why: str) -> None:
    repository.storage.delete(file_name(LOCKS, lock_id))
    _LOG.info("removed the lock %s of process %d on %s: %s", short(lock_id), lock.pid, lock.hostname, why)


def _locked(repository: Repository, lock: Lock, now_ns: int, written_ns: int) -> RepositoryLockedError:
    how = "locked exclusively" if lock.exclusive else "in use"
    message = f"{repository.storage.location}: {how} by {_holder(lock)}"
    hint = "Wait until that has ended; `holdfast unlock` removes the lock of one that has died."
    if lock.time_ns - now_ns > _FUTURE_S * 1e9:
        message += ", which is in the future: the clock of that host or of this one is wrong"
        hint = (
            "Set the clocks. A lock from the future never gets old: if that process has ended, and nobody else uses "
            "the repository, remove it with `holdfast unlock --remove-all`."
        )
    elif now_ns - max(lock.time_ns, written_ns) > STALE_S * 1e9:
        message += ", and not written for 30 minutes"
        hint = "An exclusive lock is never removed unasked: if that process has ended, run `holdfast unlock`."
    return RepositoryLockedError(message, hint=hint)


def remove_lock(repository: Repository, lock_id: LockId) -> bool:
    """Remove a lock of our own; whether it has gone: one that cannot be removed is told of, and gets stale."""
    try:
        repository.storage.delete(file_name(LOCKS, lock_id))
    except HoldfastError as error:
        _LOG.warning("a lock could not be removed, and will be stale in 30 minutes: %s", error.message)
        return False
    return True

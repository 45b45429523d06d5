"""Locks on the repository: the shared one that every user of it holds, leased by a whole process at once; and the
exclusive one, for who removes what others may rely on.

As restic does it (its internal/repository/lock.go): look for locks that exclude ours, write our own, wait until
listings must show it, look again. Of two that exclude each other at least one sees the other and withdraws: who writes
second finds the first one's lock afterwards. restic waits 200 ms wherever it is, here the storage says how long. Every
five minutes the lock is written anew before the old file is removed; a lock that was not written for 30 minutes is
stale, and anybody may remove it.

So a holder that could not refresh its lock must stop well before that:

    1. the process is frozen, or the storage is away, for longer than LOST_AFTER_S;
    2. somebody calls our lock stale, removes it, prunes;
    3. we go on: `check` raises for everyone who holds the old lease. Who comes next takes a new lock, under a new
       generation, and reads the index anew.

Time is that of CLOCK_BOOTTIME, which goes on while the machine sleeps.
"""

import logging
import os
import threading
import time
from typing import Final, Self

from holdfast.errors import (
    CorruptFileError,
    HoldfastError,
    LockLostError,
    RepositoryLockedError,
    StoredFileMissingError,
)
from holdfast.format.lock import Lock, decode_lock, encode_lock
from holdfast.format.times import format_time
from holdfast.ids import LockId, short
from holdfast.repository.identity import process_exists, this_host, this_user
from holdfast.repository.layout import LOCKS, file_name, list_ids
from holdfast.repository.repository import Repository

REFRESH_S: Final = 300.0
STALE_S: Final = 1800.0
LOST_AFTER_S: Final = STALE_S * 3 / 4
LINGER_S: Final = 1.0
"""How long a lock stays when its last holder has gone: the next activity mostly comes at once."""
_RETRY_S: Final = 10.0
_WAIT_STEP_S: Final = 0.5
_LOG: Final = logging.getLogger(__name__)


def boot_time_s() -> float:
    """Seconds on a clock that neither jumps nor stops."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class LockLease:
    """The shared lock of one process, counted. Thread-safe; `acquire` may block, `release` never does.

    generation: grows by one each time that the lock is taken anew; what was read under an older one is not to be
    believed. exclusive: the lock excludes all others, also of this process.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        linger_s: float = LINGER_S,
        refresh_s: float = REFRESH_S,
        exclusive: bool = False,
    ) -> None:
        self.generation = 0
        self._exclusive = exclusive
        self._repository = repository
        self._linger_s = linger_s
        self._refresh_s = refresh_s
        self._taking = threading.Lock()
        self._changed = threading.Condition()
        self._held: LockId | None = None
        self._holders = 0
        self._written_at = self._idle_since = 0.0

    def acquire(self) -> int:
        """Become a holder; the generation, which `check` and `release` ask for.

        Raises:
            RepositoryLockedError: somebody has the exclusive lock.
            StorageDeniedError, StorageFullError, StorageUnavailableError: the lock cannot be written.
        """
        with self._taking:
            with self._changed:
                if self._held is not None and not self._is_lost():
                    self._holders += 1
                    return self.generation
            lock_id = _take(self._repository, exclusive=self._exclusive)
            with self._changed:
                self.generation += 1
                self._held, self._holders, self._written_at = lock_id, 1, boot_time_s()
                self._changed.notify_all()
            keeper = threading.Thread(target=self._keep, args=(self.generation,), name="lock", daemon=True)
            keeper.start()
            return self.generation

    def release(self, generation: int) -> None:
        """Stop being a holder of that generation."""
        with self._changed:
            if generation == self.generation and self._holders:
                self._holders -= 1
                self._idle_since = boot_time_s()
                self._changed.notify_all()

    @property
    def is_held(self) -> bool:
        """Whether the lock is there: somebody holds it, or has let it go only just now."""
        with self._changed:
            return self._held is not None

    def check(self, generation: int) -> None:
        """Go on only while the lock is held without a break.

        Raises:
            LockLostError: it could not be refreshed in time, or is another one by now.
        """
        with self._changed:
            if self._held is None or generation != self.generation or self._is_lost():
                raise LockLostError(
                    f"{self._repository.storage.location}: our lock could not be kept",
                    hint="The work goes on under a new lock, from its last checkpoint.",
                )

    def close(self) -> None:
        """Remove the lock now, whoever holds it."""
        with self._taking:
            with self._changed:
                held, self._held = self._held, None
                self._changed.notify_all()
            if held is not None:
                self._remove(held)

    def _is_lost(self) -> bool:
        return boot_time_s() - self._written_at > LOST_AFTER_S

    def _keep(self, generation: int) -> None:
        """The keeper's thread: refresh the lock while somebody holds it, remove it when nobody has for a while."""
        retry_at = 0.0
        while True:
            with self._changed:
                held = self._held
                if held is None or self.generation != generation:
                    return
                now = boot_time_s()
                due = max(self._written_at + self._refresh_s, retry_at)
                leaves = self._idle_since + self._linger_s if not self._holders else None
                if leaves is not None and now >= leaves:
                    self._held = None
                    break
                if now < due:
                    self._changed.wait(min(due, due if leaves is None else leaves) - now)
                    continue
            if not self._refresh(generation, held):
                retry_at = boot_time_s() + _RETRY_S
        self._remove(held)

    def _refresh(self, generation: int, held: LockId) -> bool:
        """Write the lock anew; False when it must be tried again."""
        storage = self._repository.storage
        try:
            if storage.size_or_none(file_name(LOCKS, held)) is None:
                self._lose(generation)
                return False
            began = boot_time_s()
            renewed = _write(self._repository, exclusive=self._exclusive)
        except HoldfastError as error:
            _LOG.warning("the lock could not be refreshed: %s", error.message)
            return False
        with self._changed:
            current = self.generation == generation and self._held == held
            if current:
                self._held, self._written_at = renewed, began
        self._remove(held if current else renewed)
        return True

    def _lose(self, generation: int) -> None:
        """Somebody has removed our lock (`restic unlock --remove-all`), and may have pruned since."""
        with self._changed:
            if self.generation == generation:
                self._held = None
                _LOG.warning("our lock was removed by somebody else")

    def _remove(self, lock_id: LockId) -> None:
        try:
            self._repository.storage.delete(file_name(LOCKS, lock_id))
        except HoldfastError as error:
            _LOG.warning("a lock could not be removed, and will be stale in 30 minutes: %s", error.message)


class ExclusiveLock:
    """The exclusive lock, held for a block. Nobody else uses the repository inside; `check` before each removal.

    wait_s: for others to go; locks of workers linger for LINGER_S after their last use.

    Raises:
        RepositoryLockedError: somebody uses the repository, and did not go in time.
    """

    def __init__(self, repository: Repository, *, wait_s: float = 0.0) -> None:
        self._lease = LockLease(repository, linger_s=0.0, exclusive=True)
        self._wait_s = wait_s
        self._generation = 0

    def __enter__(self) -> Self:
        give_up_at = boot_time_s() + self._wait_s
        while True:
            try:
                self._generation = self._lease.acquire()
            except RepositoryLockedError:
                if boot_time_s() >= give_up_at:
                    raise
                time.sleep(_WAIT_STEP_S)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._lease.close()

    def check(self) -> None:
        """Raises LockLostError when the lock could not be kept."""
        self._lease.check(self._generation)


def _take(repository: Repository, *, exclusive: bool) -> LockId:
    _refuse_excluded(repository, own=None, exclusive=exclusive)
    lock_id = _write(repository, exclusive=exclusive)
    try:
        time.sleep(repository.storage.settle_s)
        _refuse_excluded(repository, own=lock_id, exclusive=exclusive)
    except BaseException:
        repository.storage.delete(file_name(LOCKS, lock_id))
        raise
    return lock_id


def _write(repository: Repository, *, exclusive: bool) -> LockId:
    lock = Lock(
        time=format_time(time.time_ns()),
        exclusive=exclusive,
        hostname=this_host(),
        username=this_user(),
        pid=os.getpid(),
        uid=os.getuid(),
        gid=os.getgid(),
    )
    return LockId(repository.save_file(LOCKS, encode_lock(lock)))


def _refuse_excluded(repository: Repository, own: LockId | None, *, exclusive: bool) -> None:
    """Look at all other locks; stale ones are removed on the way.

    Raises:
        RepositoryLockedError: one is exclusive or excluded by ours, or cannot be read, and so might be.
    """
    for raw, _ in list_ids(repository.storage, LOCKS):
        lock_id = LockId(raw)
        if lock_id == own:
            continue
        try:
            lock = decode_lock(repository.load_file(LOCKS, lock_id))
        except StoredFileMissingError:
            continue
        except CorruptFileError as error:
            raise RepositoryLockedError(
                f"{repository.storage.location}: the lock {short(lock_id)} cannot be read, and may be anybody's",
                hint="If nobody uses the repository, remove it with `restic unlock --remove-all`.",
            ) from error
        if is_stale(lock):
            repository.storage.delete(file_name(LOCKS, lock_id))
        elif lock.exclusive or exclusive:
            how = "locked exclusively" if lock.exclusive else "in use"
            raise RepositoryLockedError(
                f"{repository.storage.location}: {how} by {lock.username} on {lock.hostname}, "
                f"process {lock.pid}, since {lock.time[:19]}",
                hint="Wait until that has ended; `restic unlock` removes the lock of one that has died.",
            )


def is_stale(lock: Lock) -> bool:
    """Whether a lock's holder must be dead: not refreshed for 30 minutes, or its process is gone from this host."""
    if time.time_ns() - lock.time_ns > STALE_S * 1e9:
        return True
    return lock.hostname == this_host() and not process_exists(lock.pid)

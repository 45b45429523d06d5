"""A process holds a shared lock on the repository for all its users at once; an exclusive one where it removes what
others may rely on; and none where it only reads what nobody changes.

Every five minutes a lock is written again before the old file is removed; one that was not written for 30 minutes is
stale, and anybody may remove it. How locks are taken and judged: lock_files.py.

So a holder that could not refresh its lock must stop well before that:

    1. the process is frozen, or the machine sleeps, or the storage is away, for longer than LOST_AFTER_S;
    2. another client calls our lock stale, removes it, prunes;
    3. we go on: `check` raises for everyone who holds the old lease. The next one takes a new lock, under a new
       generation, and looks whether the index that it knows still stands.

Which clock would notice step 1? CLOCK_BOOTTIME goes on while the machine sleeps, but stands while a hypervisor has
paused it; the time of day jumps when the machine is woken. Whichever says more counts. What no clock tells, the lock
file does: its name is the hash of its content, so as long as that file is there, nobody has removed our lock, and
nobody who keeps to the rules has removed anything else. `confirm` looks; a refresh looks after the new lock is there.
"""

import logging
import threading
import time
from typing import Final, Protocol

from holdfast.errors import HoldfastError, LockLostError
from holdfast.ids import LockId
from holdfast.repository.layout import LOCKS, file_name
from holdfast.repository.lock_files import STALE_S, remove_lock, take_lock, write_lock
from holdfast.repository.lock_notes import LockNotes
from holdfast.repository.repository import Repository
from holdfast.units import NS_PER_S

REFRESH_S: Final = 300.0
LOST_AFTER_S: Final = STALE_S * 3 / 4
LINGER_S: Final = 1.0
"""How long a lock stays when its last holder has gone: the next activity mostly comes at once."""
LINGER_FAR_S: Final = 5.0
"""The same at a distance, where steps take longer, and a lock is five requests."""
SEEN_S: Final = 2.0
"""A lock file that was seen so long ago is taken to be there where it is looked for again afterwards in any case."""
_RETRY_S: Final = 10.0
_LOG: Final = logging.getLogger(__name__)


class Clock:
    """The two clocks that a lease looks at. Apart, so that a test can move them."""

    def passing_s(self) -> float:
        """Seconds on a clock that never jumps, and goes on while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def of_day_s(self) -> float:
        """Seconds since 1970, as the system has been told."""
        return time.time()


class Lease(Protocol):
    """What a session needs of its lock."""

    @property
    def is_held(self) -> bool: ...
    @property
    def is_kept(self) -> bool: ...
    def acquire(self) -> int: ...
    def release(self, generation: int) -> None: ...
    def check(self, generation: int) -> None: ...
    def confirm(self, generation: int, *, recently: bool = False) -> None: ...
    def give_up(self, generation: int) -> None: ...
    def close(self) -> None: ...
    def skew_s(self) -> float: ...


class LockLease:
    """The shared lock of one process, counted. Thread-safe; `acquire` may block, `release` never does.

    generation: grows by one each time that the lock is taken again; what was read under an older one is not to be
    believed. exclusive: the lock excludes all others, also of this process.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        linger_s: float | None = None,
        refresh_s: float = REFRESH_S,
        exclusive: bool = False,
        clock: Clock | None = None,
        notes: LockNotes | None = None,
    ) -> None:
        """linger_s: how long the lock stays when its last holder has gone; by default as the place has it. notes: which
        locks this host has."""
        self.generation = 0
        self._notes = notes
        self._exclusive = exclusive
        self._repository = repository
        is_far = repository.storage.traits.latency_s > 0
        self._linger_s = linger_s if linger_s is not None else (LINGER_FAR_S if is_far else LINGER_S)
        self._refresh_s = refresh_s
        self._clock = clock or Clock()
        self._taking = threading.Lock()
        self._changed = threading.Condition()
        self._held: LockId | None = None
        self._holders = 0
        self._written_at = self._seen_at = (0.0, 0.0)
        self._idle_since = 0.0
        self._was_refused = False

    def acquire(self) -> int:
        """Become a holder; the generation, which `check` and `release` ask for.

        Raises:
            RepositoryLockedError: another client has the exclusive lock.
            StorageDeniedError, StorageFullError, StorageUnavailableError: the lock cannot be written.
        """
        with self._taking:
            with self._changed:
                if self._held is not None and not self._is_lost():
                    self._holders += 1
                    return self.generation
                forgotten, self._held = self._held, None
            if forgotten is not None:
                self._remove(forgotten)
            began = self._now()
            lock_id = self._take()
            with self._changed:
                self.generation += 1
                self._held, self._holders, self._written_at = lock_id, 1, began
                self._seen_at = began
                self._changed.notify_all()
            keeper = threading.Thread(target=self._keep, args=(self.generation,), name="lock", daemon=True)
            keeper.start()
            return self.generation

    def release(self, generation: int) -> None:
        """Stop being a holder of that generation."""
        with self._changed:
            if generation == self.generation and self._holders:
                self._holders -= 1
                self._idle_since = self._clock.passing_s()
                self._changed.notify_all()

    @property
    def is_held(self) -> bool:
        """Whether the lock is there: it is held, or was let go only just now."""
        with self._changed:
            return self._held is not None

    @property
    def is_kept(self) -> bool:
        """The same, and it was refreshed in time."""
        with self._changed:
            return self._held is not None and not self._is_lost()

    def check(self, generation: int) -> None:
        """Go on only while the lock is held without a break, as far as this process knows.

        Raises:
            LockLostError: it could not be refreshed in time, or is another one by now.
        """
        with self._changed:
            self._held_under(generation)

    def confirm(self, generation: int, *, recently: bool = False) -> None:
        """The same, and look whether the lock file is there: before and after what others will believe.

        recently: it will do that the file was there SEEN_S ago.

        Raises:
            LockLostError: it is not, or as `check`.
            StorageUnavailableError: that cannot be said just now.
        """
        while True:
            with self._changed:
                held = self._held_under(generation)
                if recently and self._since(self._seen_at) < SEEN_S:
                    return
            began = self._now()
            stored = self._is_stored(held)
            with self._changed:
                if stored:
                    self._seen_at = max(self._seen_at, began)
                    return
                replaced = self._held is not None and self._held != held
            if not replaced:  # else it was refreshed in between, and the new one is looked for
                self._lose(generation, held)

    def give_up(self, generation: int) -> None:
        """Something removed what our lock protects: nothing that was read under it is to be believed."""
        with self._changed:
            held = self._held if self.generation == generation else None
            if held is not None:
                self._held = None
                self._changed.notify_all()
        if held is not None:
            self._remove(held)

    def close(self) -> None:
        """Remove the lock now, even where it is held."""
        with self._taking:
            self.give_up(self.generation)

    def skew_s(self) -> float:
        """By how much this host's clock is ahead of the storage's, in seconds: both of when our lock was written.

        Raises:
            LockLostError: our lock is not there.
        """
        while True:
            with self._changed:
                held, written_at = self._held, self._written_at[1]
            for file in self._repository.storage.list(LOCKS):
                if held is not None and file.name == file_name(LOCKS, held):
                    return written_at - file.modified_ns / NS_PER_S
            with self._changed:
                if self._held == held:  # it was not refreshed in between
                    self._held_under(-1)

    def _remove(self, lock_id: LockId) -> None:
        if remove_lock(self._repository, lock_id) and self._notes is not None:
            self._notes.drop(lock_id)

    def _take(self) -> LockId:
        look_first = self._exclusive or self._was_refused
        self._was_refused = True
        lock_id = take_lock(self._repository, exclusive=self._exclusive, look_first=look_first)
        self._was_refused = False
        self._note(lock_id)
        return lock_id

    def _note(self, lock_id: LockId) -> None:
        if self._notes is not None:
            self._notes.keep(lock_id)

    def _held_under(self, generation: int) -> LockId:
        if self._held is None or generation != self.generation or self._is_lost():
            raise LockLostError(
                f"{self._repository.storage.location}: our lock could not be kept",
                hint="The work goes on under a new lock, from its last checkpoint.",
            )
        return self._held

    def _now(self) -> tuple[float, float]:
        return self._clock.passing_s(), self._clock.of_day_s()

    def _is_lost(self) -> bool:
        return self._since(self._written_at) > LOST_AFTER_S

    def _since(self, moment: tuple[float, float]) -> float:
        passing_s, of_day_s = self._now()
        return max(passing_s - moment[0], of_day_s - moment[1])

    def _is_stored(self, lock_id: LockId) -> bool:
        return self._repository.storage.size_or_none(file_name(LOCKS, lock_id)) is not None

    def _keep(self, generation: int) -> None:
        """The keeper's thread: refresh the lock while it is held, remove it when it was not for a while."""
        retry_at = 0.0
        while True:
            with self._changed:
                held = self._held
                if held is None or self.generation != generation:
                    return
                now = self._clock.passing_s()
                due = max(self._written_at[0] + self._refresh_s, retry_at)
                leaves = self._idle_since + self._linger_s if not self._holders else None
                if leaves is not None and now >= leaves:
                    self._held = None
                    break
                if now < due:
                    self._changed.wait(min(due, due if leaves is None else leaves) - now)
                    continue
            if not self._refresh(generation, held):
                retry_at = self._clock.passing_s() + _RETRY_S
        self._remove(held)

    def _refresh(self, generation: int, held: LockId) -> bool:
        """Write the lock again; False when it must be tried again.

        The old file is looked for once the new one is there: if it is, there was a lock of ours all the time. If not,
        a client has removed it that may have had the exclusive lock and pruned since, or have it now.
        """
        try:
            if not self._is_stored(held):
                self._lose(generation, held)
                return False
            began = self._now()
            renewed = write_lock(self._repository, exclusive=self._exclusive)
            self._note(renewed)
            if not self._is_stored(held):
                self._remove(renewed)
                self._lose(generation, held)
                return False
        except HoldfastError as error:
            _LOG.warning("the lock could not be refreshed: %s", error.message)
            return False
        with self._changed:
            current = self.generation == generation and self._held == held
            if current:
                self._held, self._written_at = renewed, began
                self._seen_at = began
        self._remove(held if current else renewed)
        return True

    def _lose(self, generation: int, held: LockId) -> None:
        """A client has removed our lock (`restic unlock --remove-all`), and may have pruned since."""
        with self._changed:
            if self.generation == generation and self._held == held:
                self._held = None
                self._changed.notify_all()
                _LOG.warning("our lock was removed by another program")


class NoLease:
    """No lock, where nothing is written. Each use that begins when there is none is a new generation, so
    that it looks whether the index that is known still stands; what is removed under a reader, it will not find."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generation = self._holders = 0
        self._given_up = False

    @property
    def is_held(self) -> bool:
        """Whether anything is being read."""
        with self._lock:
            return self._holders > 0

    @property
    def is_kept(self) -> bool:
        """There is nothing that could be."""
        return False

    def acquire(self) -> int:
        """Begin to read; the generation."""
        with self._lock:
            if self._given_up or not self._holders:
                self._generation += 1
                self._holders, self._given_up = 0, False
            self._holders += 1
            return self._generation

    def release(self, generation: int) -> None:
        """Stop reading."""
        with self._lock:
            if generation == self._generation and self._holders:
                self._holders -= 1

    def check(self, generation: int) -> None:
        """There is nothing that could be lost."""

    def confirm(self, generation: int, *, recently: bool = False) -> None:
        """There is nothing that could be lost."""

    def give_up(self, generation: int) -> None:
        """What begins from now on is of a new generation."""
        with self._lock:
            self._given_up = self._given_up or generation == self._generation

    def close(self) -> None:
        """There is nothing to remove."""

    def skew_s(self) -> float:
        """There is nothing to compare."""
        return 0.0

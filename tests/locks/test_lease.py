"""The lease of a lock, on clocks that the test moves: refreshed, lost, let go, taken again."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import LockLostError, StorageDeniedError, StorageUnavailableError
from holdfast.repository.layout import LOCKS
from holdfast.repository.locking import LOST_AFTER_S, REFRESH_S, Clock, LockLease
from holdfast.repository.repository import Repository
from holdfast.storage.contract import Content
from holdfast.storage.layers.layer import Layer
from holdfast.storage.local import LocalStorage
from tests.support.engine import PASSWORD, new_session

_PATIENCE_S = 60.0


class MovedClock(Clock):
    """Both clocks stand until they are moved."""

    def __init__(self) -> None:
        self.passing, self.of_day = 1_000.0, 1_700_000_000.0

    def passing_s(self) -> float:
        return self.passing

    def of_day_s(self) -> float:
        return self.of_day

    def go_on(self, lease: LockLease, seconds: float) -> None:
        """Time passes, and the lease's keeper sees it."""
        self.passing += seconds
        self.of_day += seconds
        with lease._changed:
            lease._changed.notify_all()


class Blocked(Layer):
    """A storage whose locks cannot be written while `away`."""

    away = False

    def put(self, name: str, data: Content) -> None:
        if self.away and name.startswith(LOCKS):
            raise StorageUnavailableError("away")
        super().put(name, data)


class Place:
    """A repository, a clock, and leases of its lock."""

    def __init__(self, path: Path) -> None:
        with new_session(path):
            pass
        self.locks = path / LOCKS
        self.storage = Blocked(LocalStorage(path))
        self.repository = Repository.open(self.storage, PASSWORD)
        self.clock = MovedClock()

    def lease(self, linger_s: float = 1.0) -> LockLease:
        return LockLease(self.repository, clock=self.clock, linger_s=linger_s)

    def names(self) -> set[str]:
        return {path.name for path in self.locks.iterdir()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "repository")


def until(is_so: Callable[[], bool]) -> None:
    """Wait for another thread."""
    give_up_at = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < give_up_at
        threading.Event().wait(0.01)


def test_it_is_refreshed_by_a_new_file_before_the_old_one_goes(place: Place) -> None:
    lease = place.lease()
    generation = lease.acquire()
    first = place.names()
    assert len(first) == 1
    for _ in range(12):  # an hour: without refreshing it would be lost after 22.5 minutes
        before = place.names()
        place.clock.go_on(lease, REFRESH_S)
        until(lambda before=before: len(place.names()) == 1 and place.names() != before)  # type: ignore[misc]
        lease.check(generation)
        lease.confirm(generation)
    assert lease.generation == generation
    lease.close()
    assert not place.names()


def test_it_is_not_refreshed_early(place: Place) -> None:
    lease = place.lease()
    lease.acquire()
    first = place.names()
    place.clock.go_on(lease, REFRESH_S - 1)
    lease.release(lease.acquire())  # the keeper has been woken, and had its turn
    assert place.names() == first
    lease.close()


@pytest.mark.parametrize("clocks", ["passing", "of_day", "both"])
def test_a_holder_that_cannot_refresh_stops_before_anybody_may_call_its_lock_stale(
    place: Place, clocks: str
) -> None:
    """A frozen process sees the one clock, a guest that its hypervisor paused only the other one."""
    lease = place.lease()
    generation = lease.acquire()
    place.storage.away = True
    for name in ("passing", "of_day"):
        if clocks in (name, "both"):
            setattr(place.clock, name, getattr(place.clock, name) + LOST_AFTER_S)
    lease.check(generation)
    for name in ("passing", "of_day"):
        if clocks in (name, "both"):
            setattr(place.clock, name, getattr(place.clock, name) + 1)
    with pytest.raises(LockLostError):
        lease.check(generation)
    with pytest.raises(LockLostError):
        lease.confirm(generation)
    place.storage.away = False
    lease.close()


def test_after_a_loss_there_is_a_new_generation_and_one_lock(place: Place) -> None:
    lease = place.lease()
    old = lease.acquire()
    place.storage.away = True
    place.clock.passing += LOST_AFTER_S + 1  # the keeper sleeps, as it does in a frozen process
    place.storage.away = False
    new = lease.acquire()
    assert new == old + 1
    assert len(place.names()) == 1
    lease.check(new)
    with pytest.raises(LockLostError):
        lease.check(old)
    lease.release(old)  # a late holder of the old one takes nothing from the new one
    lease.check(new)
    lease.close()


def test_a_removed_lock_is_noticed_by_who_looks(place: Place) -> None:
    lease = place.lease()
    generation = lease.acquire()
    for path in place.locks.iterdir():
        path.unlink()
    lease.check(generation)  # this asks nobody
    with pytest.raises(LockLostError):
        lease.confirm(generation)
    with pytest.raises(LockLostError):
        lease.check(generation)
    assert lease.acquire() == generation + 1
    lease.close()


def test_a_removed_lock_is_noticed_by_the_refresh(place: Place) -> None:
    lease = place.lease()
    generation = lease.acquire()
    for path in place.locks.iterdir():
        path.unlink()
    place.clock.go_on(lease, REFRESH_S)
    until(lambda: not lease.is_held)
    with pytest.raises(LockLostError):
        lease.check(generation)
    assert not place.names()  # what prune does alone is not disturbed by a new lock of ours


def test_a_lock_that_is_removed_while_the_next_one_is_written_is_lost(place: Place) -> None:
    """1. the old lock is seen; 2. we are frozen; 3. it is removed, another client prunes; 4. we write the new one."""
    lease = place.lease()
    generation = lease.acquire()
    (old,) = place.locks.iterdir()
    put = place.storage.below.put

    def put_late(name: str, data: Content) -> None:
        old.unlink()
        put(name, data)

    place.storage.below.put = put_late  # type: ignore[method-assign]
    place.clock.go_on(lease, REFRESH_S)
    until(lambda: not lease.is_held)
    until(lambda: not place.names())
    with pytest.raises(LockLostError):
        lease.check(generation)


def test_it_lingers_and_then_goes(place: Place) -> None:
    lease = place.lease(linger_s=10.0)
    generation = lease.acquire()
    lease.release(generation)
    place.clock.go_on(lease, 9.0)
    assert lease.acquire() == generation  # it was still there
    lease.release(generation)
    place.clock.go_on(lease, 10.0)
    until(lambda: not place.names())
    assert lease.acquire() == generation + 1
    lease.close()


def test_it_stays_while_anybody_holds_it(place: Place) -> None:
    lease = place.lease(linger_s=0.0)
    one, other = lease.acquire(), lease.acquire()
    assert one == other
    lease.release(one)
    place.clock.go_on(lease, 60.0)
    lease.confirm(other)
    lease.release(other)
    until(lambda: not place.names())


def test_what_is_given_up_is_a_loss_for_all(place: Place) -> None:
    lease = place.lease()
    one, other = lease.acquire(), lease.acquire()
    lease.give_up(one)
    with pytest.raises(LockLostError):
        lease.check(other)
    assert not place.names()


def test_who_may_not_write_is_told_of_a_way_to_read(place: Place) -> None:
    def denied(name: str, data: Content) -> None:
        raise StorageDeniedError("permission denied", hint="Be somebody else.")

    place.storage.put = denied  # type: ignore[method-assign]
    with pytest.raises(StorageDeniedError, match="nothing can be locked") as refused:
        place.lease().acquire()
    assert "--no-lock" in (refused.value.hint or "")

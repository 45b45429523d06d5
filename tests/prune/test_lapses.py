"""A prune that is frozen for an hour, while others take its lock for dead, touches nothing afterwards.

It is frozen in the worst moment, between its look at the lock and the request: that one request is still made.
"""

from collections.abc import Callable, Iterable, Iterator

import pytest

from holdfast.errors import LockLostError
from holdfast.repository.layout import LOCKS
from holdfast.repository.locking import Clock
from holdfast.storage.contract import Content
from holdfast.storage.layers.layer import Layer
from holdfast.storage.local import LocalStorage
from tests.locks.pruned import forget_and_prune
from tests.prune.conftest import Place
from tests.support.engine import small_session
from tests.support.pruning import Pruning

_HOUR_S = 3600.0


class Freezing(Layer):
    """Is frozen right before its `at`-th write or removal in a folder of the repository; what it touches after that."""

    def __init__(self, place: Place, folder: str, at: int, meanwhile: Callable[[], None]) -> None:
        super().__init__(LocalStorage(place.repository))
        self.frozen = False
        self.touched: list[str] = []
        self._folder = folder
        self._left = at
        self._meanwhile = meanwhile

    def put(self, name: str, data: Content) -> None:
        self._step(name)
        super().put(name, data)

    def delete_many(self, names: Iterable[str]) -> None:
        super().delete_many(self._one_by_one(names))

    def _one_by_one(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            self._step(name)
            yield name

    def _step(self, name: str) -> None:
        if name.startswith(self._folder) and not self.frozen:
            self._left -= 1
            if self._left < 0:
                self.frozen = True
                self._meanwhile()
        if self.frozen and name.startswith(("data", "index", "snapshots")):
            self.touched.append(name)


@pytest.mark.parametrize(
    ("folder", "at"), [("index", 2), ("index", 5), ("index", 30), ("data", 8), ("data", 20), ("data", 28)]
)
def test_what_is_frozen_makes_one_request_more_at_most(
    place: Place, monkeypatch: pytest.MonkeyPatch, folder: str, at: int
) -> None:
    """Before the second and later index files, in the short part; and before packs, in the deletion."""
    moved_s = [0.0]
    passing_s, of_day_s = Clock.passing_s, Clock.of_day_s
    monkeypatch.setattr(Clock, "passing_s", lambda clock: passing_s(clock) + moved_s[0])
    monkeypatch.setattr(Clock, "of_day_s", lambda clock: of_day_s(clock) + moved_s[0])

    def an_hour() -> None:
        moved_s[0] = _HOUR_S
        for lock in (place.repository / LOCKS).iterdir():
            lock.unlink()

    storage = Freezing(place, folder, at, an_hour)
    session = small_session(storage)
    try:
        with pytest.raises(LockLostError):
            Pruning(session).run()
        assert storage.frozen
        assert len(storage.touched) <= 1, storage.touched
        place.assert_whole(snapshots=2)
        moved_s[0] = 0.0
        Pruning(session).run()  # the next attempt goes on
    finally:
        session.close()
    place.assert_whole(snapshots=2)


@pytest.mark.parametrize(
    ("folder", "at"), [("index", 0), ("index", 2), ("index", 20), ("data", 1), ("data", 20)]
)
def test_another_program_prunes_in_the_worst_moment(place: Place, folder: str, at: int) -> None:
    """A person who thinks that we are dead removes our lock, forgets one snapshot more, and prunes."""
    oldest = place.snapshots()[0]
    storage = Freezing(place, folder, at, lambda: forget_and_prune(place.repository, [oldest]))
    session = small_session(storage)
    try:
        for _ in range(4):
            try:
                Pruning(session).run()
                break
            except LockLostError:
                continue
        else:
            pytest.fail("the prune does not come to its end")
    finally:
        session.close()
    assert storage.frozen
    place.assert_whole(snapshots=1)

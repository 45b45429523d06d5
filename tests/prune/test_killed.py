"""A prune is killed before each of its writes and removals, and goes on; nothing that is needed is ever missing.

Some steps in `make test`; all of them in `make faults`. That of a process that dies, and not only a call: see
tests/faults/test_kill_at_each_step.py.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator

import pytest

from holdfast.prune.marked import watch_marked
from holdfast.repository.layout import LOCKS
from holdfast.storage.contract import Content
from holdfast.storage.layers.layer import Layer
from holdfast.storage.local import LocalStorage
from tests.prune.conftest import Place
from tests.support.engine import nothing, open_session, small_session
from tests.support.pruning import NO_TIME_S, Pruning


class KilledError(BaseException):
    """Where a process that was killed would not have gone on."""


class Dying(Layer):
    """Dies before one write or removal; each name of many counts. Names of locks do not."""

    def __init__(self, place: Place, at: int) -> None:
        super().__init__(LocalStorage(place.repository))
        self.left = at
        self.died = False

    def put(self, name: str, data: Content) -> None:
        self._step(name)
        super().put(name, data)

    def put_new(self, name: str, data: Content) -> bool:
        self._step(name)
        return super().put_new(name, data)

    def delete(self, name: str) -> None:
        self._step(name)
        super().delete(name)

    def delete_many(self, names: Iterable[str]) -> None:
        super().delete_many(self._one_by_one(names))

    def _one_by_one(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            self._step(name)
            yield name

    def _step(self, name: str) -> None:
        if name.startswith(LOCKS):
            return  # also once it is dead: a thread of this process, which lives on, removes the lock after a while
        if self.died:
            raise KilledError
        self.died = self.left == 0
        self.left -= 1
        if self.died:
            raise KilledError


def by_marks(pruning: Pruning) -> None:
    """All of a prune for which no exclusive moment comes."""
    pruning.repack(pruning.plan())
    switched = watch_marked(pruning.prune, nothing, kept_s=NO_TIME_S).switched
    assert switched is not None
    pruning.delete(switched)
    pruning.finish()


def kill(place: Place, at: int, run: Callable[[Pruning], object] = Pruning.run) -> bool:
    """Kill a prune at one step, look, go on, look again. False where there is no such step."""
    dying = Dying(place, at)
    session = small_session(dying)
    try:
        run(Pruning(session))
    except KilledError:
        place.assert_whole(snapshots=2)
    killed = dying.died
    dying.died, dying.left = False, -1
    session.close()
    for lock in (place.repository / LOCKS).iterdir():
        lock.unlink()  # this process lives on, so the lock of the one that was killed is not seen to be dead
    with open_session(place.repository, small=True) as again:
        run(Pruning(again))
    place.assert_whole(snapshots=2)
    return killed


@pytest.mark.parametrize("at", [5, 18, 24, 28, 29, 31, 60, 76, 80])
def test_killed_at_some_steps(place: Place, at: int) -> None:
    assert kill(place, at)


@pytest.mark.parametrize("at", [27, 28, 29, 30, 31, 50, 75, 76, 77, 78])
def test_killed_while_it_marks(place: Place, at: int) -> None:
    """Before the entries, the list, the marks, other new index files, removals of old ones, and what is decided."""
    assert kill(place, at, by_marks)


@pytest.mark.faults
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(4))
def test_killed_at_each_step(template: Place, tmp_path_factory: pytest.TempPathFactory, part: int) -> None:
    steps = 0
    for at in itertools.count(part, 4):
        if not kill(template.copy(tmp_path_factory.mktemp("killed")), at):
            break
        steps += 1
    assert steps > 0

"""A prune in a bucket, killed at its requests: stock restic misses nothing, and the next prune comes to its end.

The process is killed as far as the server can tell: a request is done or not, and no later one comes. All requests in
`make heavy`, some in `make test`.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast.errors import StorageUnavailableError
from holdfast.repository.layout import LOCKS
from holdfast.repository.session import RepositorySession
from holdfast.storage.contract import Storage
from tests.objects.opening import opened
from tests.prune.conftest import Place, make_place
from tests.support.engine import small_session
from tests.support.proxy import Happening, Lost, Proxy, Request, Reset
from tests.support.pruning import Pruning
from tests.support.seaweed import Seaweed
from tests.support.stock import Restic

_PARTS = 8


class KilledAt:
    """A plan: the request of this number is done or not, without an answer, and none that comes later is."""

    def __init__(self, at: int, *, done: bool) -> None:
        self._left = at
        self._done = done
        self.fired = False

    def __call__(self, _: Request) -> Happening | None:
        self._left -= 1
        if self._left >= 0:
            return None
        is_first, self.fired = not self.fired, True
        return Lost() if is_first and self._done else Reset()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_place(tmp_path_factory.mktemp("prune"))


@contextmanager
def session_of(storage: Storage) -> Iterator[RepositorySession]:
    session = small_session(storage)
    try:
        yield session
    finally:
        session.close()


def upload(repository: Path, storage: Storage) -> None:
    for path in repository.rglob("*"):
        if path.is_file():
            storage.put(str(path.relative_to(repository)), path.read_bytes())


def kill(seaweed: Seaweed, proxy: Proxy, template: Place, name: str, at: int) -> bool:
    """Kill a prune at one request, look, prune again, look again. False where there is no such request."""
    stock = Restic(seaweed.location(name), seaweed.environ)
    straight = opened(seaweed.location(name), seaweed.environ)
    upload(template.repository, straight)
    plan = KilledAt(at, done=bool(at % 2))
    try:
        with session_of(opened(proxy.location(name), seaweed.environ)) as session:
            proxy.plan = plan
            Pruning(session).run()
    except StorageUnavailableError:
        assert plan.fired
    finally:
        proxy.plan = None
    straight.delete_folder(LOCKS)  # as the next one does, which finds its process dead
    stock.assert_sound(snapshots=2)
    if plan.fired:
        with session_of(straight) as again:
            Pruning(again).run()
        stock.assert_sound(snapshots=2)
    else:
        straight.close()
    return plan.fired


@pytest.mark.parametrize("at", [31, 90, 160, 181])
def test_killed_at_some_requests(
    seaweed: Seaweed, proxy: Proxy, prefix: str, template: Place, at: int
) -> None:
    assert kill(seaweed, proxy, template, prefix, at)


@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(_PARTS))
def test_killed_at_each_request(
    seaweed: Seaweed, proxy: Proxy, prefix: str, template: Place, part: int
) -> None:
    for at in itertools.count(part, _PARTS):
        if not kill(seaweed, proxy, template, f"{prefix}-{at}", at):
            break
    print(f"killed at every {_PARTS}th request from {part} on, {at} at most")  # noqa: T201 - what it measured
    assert at > part

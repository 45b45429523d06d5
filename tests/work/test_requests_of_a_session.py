"""What taking a repository into use costs in requests, and that those that can be are under way at once."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from holdfast.ids import PackId, sha256
from holdfast.repository.layout import pack_name
from holdfast.repository.lock_files import write_lock
from holdfast.repository.packs.stored import sizes_by_name, sizes_of
from holdfast.repository.session import RepositorySession
from holdfast.storage.contract import Traits
from tests.support.counting import CountingStorage
from tests.support.doubles import Watched
from tests.support.engine import counted_session, new_session
from tests.support.memory_storage import MemoryStorage

OTHERS = 3
PACKS = [PackId(sha256(bytes([number]))) for number in range(12)]
ResultT = TypeVar("ResultT")


def requests_of_hold(session: RepositorySession, storage: CountingStorage) -> Counter[tuple[str, str]]:
    before = storage.calls.copy()
    with session.hold():
        pass
    return storage.calls - before


def test_what_a_hold_asks_for(tmp_path: Path) -> None:
    """Others' locks are read once, however often they are looked at; under the same lock, two listings are all."""
    with new_session(tmp_path / "repository") as session:
        for _ in range(OTHERS):
            write_lock(session.repository, exclusive=False)
    with counted_session(tmp_path / "repository") as (session, storage):
        first = {
            ("list", "locks"): 1,
            ("get", "locks"): OTHERS,
            ("put", "locks"): 1,
            ("list", "index"): 1,
            ("list", "holdfast"): 1,
        }
        assert requests_of_hold(session, storage) == first
        assert requests_of_hold(session, storage) == {("list", "index"): 1, ("list", "holdfast"): 1}
        session.lease.close()
        assert requests_of_hold(session, storage) == first


class Distant(Watched):
    """Answers only when as many ask at once as its traits say."""

    def __init__(self, requests: int) -> None:
        super().__init__(MemoryStorage())
        self._traits = replace(self.below.traits, requests=requests, latency_s=0.01)
        self._together = threading.Barrier(requests)

    @property
    def traits(self) -> Traits:
        return self._traits

    def request(self, call: str, name: str, send: Callable[[], ResultT]) -> ResultT:
        if call == "size_or_none":
            self._together.wait(timeout=20)
        return send()


def test_packs_are_asked_for_many_at_once() -> None:
    storage = Distant(4)
    for pack in PACKS[:5]:
        storage.put(pack_name(pack), b"12345")
    assert sizes_by_name(storage, PACKS) == {pack: 5 if pack in PACKS[:5] else None for pack in PACKS}


def test_a_pack_that_a_listing_lacks_is_asked_for_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where so many are wanted that all are listed first."""
    monkeypatch.setattr("holdfast.repository.packs.stored._LISTING_ROUNDS", 0)
    storage = MemoryStorage()
    for pack in PACKS:
        storage.put(pack_name(pack), b"123")
    monkeypatch.setattr(storage, "list", lambda _: iter(()))
    assert sizes_of(storage, PACKS, stored=len(PACKS)) == dict.fromkeys(PACKS, 3)


def test_at_a_distance_packs_are_listed_where_that_is_fewer_requests() -> None:
    storage = Distant(1)
    for pack in PACKS:
        storage.put(pack_name(pack), b"123")
    asked: Counter[str] = Counter()

    def count(call: str, name: str, send: Callable[[], ResultT]) -> ResultT:
        asked[call] += 1
        return send()

    storage.request = count  # type: ignore[method-assign]
    assert sizes_of(storage, PACKS, stored=len(PACKS), few=True) == dict.fromkeys(PACKS, 3)
    assert asked == {"list": 1}
    asked.clear()
    assert sizes_of(storage, PACKS[:3], stored=4000) == dict.fromkeys(PACKS[:3], 3)
    assert asked == {"size_or_none": 3}

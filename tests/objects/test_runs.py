"""Whole runs of the engine in a bucket: killed, gone on with, verified, restored; stock restic at the same place."""

import contextlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import StorageUnavailableError
from holdfast.repository.layout import LOCKS, RUNS
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.storage.contract import Storage
from holdfast.storage.credentials import fixed
from holdfast.storage.locations import open_storage
from tests.support.comparison import same
from tests.support.doubles import DyingStorage, Killed
from tests.support.engine import PASSWORD, EngineRun, small_session
from tests.support.persistent import back_up, restored, verified
from tests.support.proxy import (
    Answer,
    Cut,
    Flipped,
    FlippedOnTheWay,
    Happening,
    Lost,
    Proxy,
    Reset,
    Stall,
    Storm,
)
from tests.support.seaweed import Seaweed
from tests.support.stock import Restic


@pytest.fixture
def source(tmp_path: Path) -> Path:
    random = Random(7)
    top = tmp_path / "source"
    for folder in ("", "a", "a/deep", "b"):
        (top / folder).mkdir(parents=True, exist_ok=True)
        for number in range(4):
            (top / folder / f"{number}").write_bytes(random.randbytes(20_000 + number))
    (top / "large").write_bytes(random.randbytes(900_000))
    return top


@contextmanager
def session_of(storage: Storage, *, new: bool = False) -> Iterator[RepositorySession]:
    """A session with sizes that take a run through every path."""
    if new:
        Repository.init(storage, PASSWORD, kdf=ScryptParameters.for_tests())
    session = small_session(storage)
    try:
        yield session
    finally:
        session.close()


@pytest.fixture
def stock(seaweed: Seaweed, prefix: str) -> Restic:
    return Restic(seaweed.location(prefix), seaweed.environ)


def test_ours_and_stock_restic_share_a_bucket(
    seaweed: Seaweed, prefix: str, source: Path, tmp_path: Path, stock: Restic
) -> None:
    storage = open_storage(seaweed.location(prefix), fixed(seaweed.environ))
    with session_of(storage, new=True) as session:
        back_up(session, source)
    stock.assert_sound(snapshots=1)
    stock("restore", "latest", "--target", tmp_path / "by-restic")
    assert same(source, tmp_path / "by-restic" / source.relative_to("/"))

    (source / "more").write_bytes(Random(8).randbytes(300_000))
    stock("backup", source)
    with session_of(storage) as session:
        restored(session, source, tmp_path / "by-ours")
        assert same(source, tmp_path / "by-ours")
        (source / "more still").write_bytes(Random(9).randbytes(300_000))
        back_up(session, source, "again")
        assert verified(session, "verify") == 0
    stock.assert_sound(snapshots=3)
    stock("unlock")
    stock("forget", "--keep-last", "1", "--group-by", "", "--prune")
    stock.assert_sound(snapshots=1)
    with session_of(storage) as session:
        assert verified(session, "after-prune") == 0


def test_a_repository_of_stock_restic_in_a_bucket_is_ours_to_use(
    seaweed: Seaweed, prefix: str, source: Path, tmp_path: Path, stock: Restic
) -> None:
    stock("init")
    stock("backup", source)
    with session_of(open_storage(seaweed.location(prefix), fixed(seaweed.environ))) as session:
        restored(session, source, tmp_path / "target")
        back_up(session, source)
    assert same(source, tmp_path / "target")
    stock.assert_sound(snapshots=2)


def test_a_backup_killed_at_writes_goes_on(
    seaweed: Seaweed, prefix: str, source: Path, tmp_path: Path
) -> None:
    for at in (6, 23, 41):
        location = seaweed.location(f"{prefix}-{at}")
        storage = open_storage(location, fixed(seaweed.environ))
        with session_of(storage, new=True):
            pass
        dying = DyingStorage(storage, at, done=bool(at % 2))
        session = small_session(dying)
        run = EngineRun.of(session, source, run_id="run")
        with contextlib.suppress(Killed, StorageUnavailableError):
            run.run()
        assert dying.dead
        storage.delete_folder(LOCKS)  # as the next one does, which finds its process dead
        with session_of(storage) as again:
            EngineRun(replace(run.backup, session=again), run.order).run()
        assert [*storage.list(RUNS)] == []
        Restic(location, seaweed.environ).assert_sound(snapshots=1)


WEATHER: Final[list[Happening]] = [
    *(Reset(), Lost(), Cut(), Stall(0.1), Flipped(), FlippedOnTheWay()),
    *(Answer(500, "InternalError"), Answer(503, "SlowDown", {"Retry-After": "1"}), Answer(429), Answer(502)),
]


def weathered(seaweed: Seaweed, proxy: Proxy, source: Path, target: Path, seed: int, share: float) -> Storm:
    """A backup, a verification and a restore while a share of all requests fares badly; and what stock restic says."""
    name = f"storm-{os.getpid()}-{seed}"
    with session_of(open_storage(seaweed.location(name), fixed(seaweed.environ)), new=True):
        pass
    storm = proxy.plan = Storm(seed, share, WEATHER)
    try:
        with session_of(open_storage(proxy.location(name), fixed(seaweed.environ))) as session:
            back_up(session, source)
            assert verified(session, "verify") == 0
            restored(session, source, target)
    finally:
        proxy.plan = None
    assert same(source, target)
    Restic(seaweed.location(name), seaweed.environ).assert_sound(snapshots=1)
    return storm


@pytest.mark.parametrize("seed", range(3))
def test_runs_in_bad_weather_come_to_a_good_end(
    seaweed: Seaweed, proxy: Proxy, source: Path, tmp_path: Path, seed: int
) -> None:
    storm = weathered(seaweed, proxy, source, tmp_path / "target", seed, 0.05)
    assert storm.fired.total() > 5


@pytest.mark.heavy
@pytest.mark.timeout(3600)
def test_two_hundred_storms(seaweed: Seaweed, proxy: Proxy, source: Path, tmp_path: Path) -> None:
    met: Counter[str] = Counter()
    for seed in range(1000, 1200):
        target = tmp_path / f"target-{seed}"
        met += weathered(seaweed, proxy, source, target, seed, 0.05).fired
        shutil.rmtree(target)
    print(f"200 storms, {proxy.requests.total()} requests, met: {dict(met)}")  # noqa: T201 - what it measured

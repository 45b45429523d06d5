"""Where no exclusive moment comes, packs are marked, and go when all who may rely on them are gone."""

import json
import time
from pathlib import Path

import pytest

from holdfast.format.lock import Lock, encode_lock
from holdfast.format.times import format_time
from holdfast.ids import LockId
from holdfast.prune import marked
from holdfast.prune.delete import delete_batch
from holdfast.prune.documents import Root
from holdfast.prune.marked import mark_packs, watch_marked
from holdfast.repository.layout import LOCKS, file_name
from holdfast.repository.session import RepositorySession
from tests.prune.conftest import Place
from tests.support.engine import nothing, open_session
from tests.support.faults import stock_restic
from tests.support.pruning import Pruning


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for 23 hours; whether that is looked at has a test of its own."""
    monkeypatch.setattr(marked, "KEPT_S", 0)


def lock_of_another(session: RepositorySession, pid: int = 4711) -> LockId:
    lock = Lock(
        time=format_time(time.time_ns()), exclusive=False, hostname="elsewhere", username="u", pid=pid
    )
    return LockId(session.repository.save_file(LOCKS, encode_lock(lock)))


def planned(session: RepositorySession) -> Pruning:
    pruning = Pruning(session)
    pruning.repack(pruning.plan())
    return pruning


def test_packs_go_when_each_lock_that_stood_is_gone(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        pruning = planned(session)
        before = place.packs()
        lock = lock_of_another(session)
        stands = mark_packs(pruning.prune, nothing)
        assert stands.fence == ("u elsewhere 4711",)
        assert mark_packs(pruning.prune, nothing) == stands
        later = lock_of_another(session, pid=4712)
        assert watch_marked(pruning.prune, nothing).switched is None
        session.repository.storage.delete(file_name(LOCKS, lock))
        refreshed = lock_of_another(session)
        watched = watch_marked(pruning.prune, nothing)
        assert (watched.switched, watched.standing) == (None, stands.fence), (
            "a refreshed lock is the same one"
        )
        assert place.packs() == before
        session.repository.storage.delete(file_name(LOCKS, refreshed))
        watched = watch_marked(pruning.prune, nothing)
        assert watched.switched is not None, (
            "who came later does not find marked packs, and is not waited for"
        )
        for batch in range(watched.switched.batches):
            delete_batch(pruning.prune, batch, nothing)
        assert pruning.finish().deleted_packs == watched.switched.packs > 0
        session.repository.storage.delete(file_name(LOCKS, later))
    place.assert_sound(snapshots=2)


def test_no_mark_is_old_before_23_hours(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marked, "KEPT_S", 23 * 3600)
    with open_session(place.repository, small=True) as session:
        pruning = planned(session)
        watched = watch_marked(pruning.prune, nothing)
        assert (watched.switched, watched.standing) == (None, ())
        assert 22.9 * 3600 < (watched.ready_ns - time.time_ns()) / 1e9 < 23.1 * 3600


def test_what_a_snapshot_since_uses_is_named_again(template: Place, place: Place, tmp_path: Path) -> None:
    """A client that had read the index before writes its snapshot after the marking: here, one that was forgotten."""
    place.change(31)
    place.backup("of-an-old-client")
    late = place.snapshots()[-1]
    kept = tmp_path / "kept"
    (place.repository / "snapshots" / late).rename(kept)
    with open_session(place.repository, small=True) as session:
        pruning = planned(session)
        lock_of_another(session)
        mark_packs(pruning.prune, nothing)
        place.assert_whole(snapshots=2)
        kept.rename(place.repository / "snapshots" / late)
        watched = watch_marked(pruning.prune, nothing)
        assert watched.taken_back > 0
        place.assert_whole(snapshots=3)
    assert template.snapshots() == place.snapshots()[:2]


def test_a_clock_that_is_ahead_makes_no_lock_old(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_session(place.repository, small=True) as session:
        pruning = planned(session)
        lock_of_another(session)
        stands = mark_packs(pruning.prune, nothing)
        time_ns, time_s = time.time_ns, time.time
        monkeypatch.setattr(time, "time_ns", lambda: time_ns() + 2400 * 10**9)
        monkeypatch.setattr(time, "time", lambda: time_s() + 2400)
        watched = watch_marked(pruning.prune, nothing)
        assert (watched.switched, watched.standing) == (None, stands.fence)


def test_what_is_forgotten_during_the_last_look_is_kept_for_the_bin(place: Place, tmp_path: Path) -> None:
    """A snapshot that an old client has written since the marking goes into the bin right after that was read."""
    place.change(31)
    place.backup("of-an-old-client")
    late = place.snapshots()[-1]
    tree = json.loads(place.restic("cat", "snapshot", late))["tree"]
    path, kept = place.repository / "snapshots" / late, tmp_path / "kept"
    path.rename(kept)
    binned: list[Root] = []

    def roots() -> list[Root]:
        before = list(binned)
        if path.exists():
            binned.append(Root(bytes.fromhex(tree)))
            path.rename(kept)
        return before

    with open_session(place.repository, small=True) as session:
        pruning = planned(session)
        mark_packs(pruning.prune, nothing)
        kept.rename(path)
        watched = watch_marked(pruning.prune, nothing, roots=roots)
        assert watched.switched is not None
        pruning.delete(watched.switched)
    kept.rename(path)
    place.assert_whole(snapshots=3)


def test_rustic_would_see_the_marks(place: Place) -> None:
    """The key and its members as rustic writes them (its crates/core/src/repofile/indexfile.rs)."""
    with open_session(place.repository, small=True) as session:
        pruning = planned(session)
        stands = mark_packs(pruning.prune, nothing)
    found: list[dict[str, object]] = []
    for index in (place.repository / "index").iterdir():
        found += json.loads(stock_restic(place.repository, "cat", "index", index.name)).get(
            "packs_to_delete", []
        )
    assert len(found) == stands.packs
    assert {frozenset(one) for one in found} == {frozenset({"id", "blobs", "time"})}

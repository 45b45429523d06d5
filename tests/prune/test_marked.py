"""Where no exclusive moment comes, packs are marked, and go when all who may rely on them are gone."""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from holdfast.errors import AlarmOpenError
from holdfast.format.lock import Lock, encode_lock
from holdfast.format.times import format_time
from holdfast.ids import LockId
from holdfast.prune.delete import delete_batch
from holdfast.prune.documents import Root
from holdfast.prune.marked import Watched, mark_packs, watch_marked
from holdfast.repository import lock_files as lock_files_module
from holdfast.repository.layout import LOCKS, file_name
from holdfast.repository.lock_files import standing_processes
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from tests.prune.conftest import Place
from tests.support.engine import nothing, open_session
from tests.support.faults import stock_restic
from tests.support.pruning import NO_TIME_S, Pruning


def watch(pruning: Pruning, roots: Callable[[], Sequence[Root]] = tuple) -> Watched:
    """Nobody waits for 23 hours here; whether that is looked at has a test of its own."""
    return watch_marked(pruning.prune, nothing, roots=roots, kept_s=NO_TIME_S)


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
        assert watch(pruning).switched is None
        session.repository.storage.delete(file_name(LOCKS, lock))
        refreshed = lock_of_another(session)
        watched = watch(pruning)
        assert (watched.switched, watched.standing) == (None, stands.fence), (
            "a refreshed lock is the same one"
        )
        assert place.packs() == before
        session.repository.storage.delete(file_name(LOCKS, refreshed))
        watched = watch(pruning)
        assert watched.switched is not None, (
            "who came later does not find marked packs, and is not waited for"
        )
        for batch in range(watched.switched.batches):
            delete_batch(pruning.prune, batch, nothing)
        assert pruning.finish().deleted_packs == watched.switched.packs > 0
        session.repository.storage.delete(file_name(LOCKS, later))
    place.assert_sound(snapshots=2)


def test_no_mark_is_old_before_23_hours(place: Place) -> None:
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
        watched = watch(pruning)
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
        watched = watch(pruning)
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
        watched = watch(pruning, roots)
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


def lock_files(session: RepositorySession) -> set[str]:
    return {file.name for file in session.repository.storage.list(LOCKS)}


def test_a_lock_that_is_refreshed_while_it_is_looked_at_stands(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file is written after the listing, and the old one removed before it is read."""
    with open_session(place.repository, small=True) as session:
        pruning = planned(session)
        old = lock_of_another(session)
        stands = mark_packs(pruning.prune, nothing)
        storage, load = session.repository.storage, session.repository.load_file
        refreshed: list[LockId] = []

        def load_late(folder: str, file_id: bytes, *, limit_bytes: int = 1 << 20) -> bytes:
            if file_id == old and not refreshed:
                refreshed.append(lock_of_another(session))
                storage.delete(file_name(LOCKS, old))
            return load(folder, file_id, limit_bytes=limit_bytes)

        monkeypatch.setattr(session.repository, "load_file", load_late)
        watched = watch(pruning)
        assert refreshed
        assert (watched.switched, watched.standing) == (None, stands.fence)


def test_a_lock_that_a_listing_leaves_out_while_it_is_refreshed_stands(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a folder shows that changes while it is read nobody promises."""
    with open_session(place.repository, small=True) as session:
        pruning = planned(session)
        lock_of_another(session)
        stands = mark_packs(pruning.prune, nothing)
        looks: list[int] = []
        stored = lock_files_module.stored_locks

        def without(repository: Repository) -> dict[LockId, int]:
            looks.append(1)
            return {} if len(looks) == 1 else stored(repository)

        monkeypatch.setattr(lock_files_module, "stored_locks", without)
        found = standing_processes(session.repository, time.time_ns())
        assert (found, len(looks)) == ({*stands.fence}, 2)


def test_a_lock_that_has_got_old_is_removed_so_that_its_client_sees_it_when_it_wakes(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        pruning = planned(session)
        old = lock_of_another(session)
        assert mark_packs(pruning.prune, nothing).fence
        past_ns = time.time_ns() - 3600 * 10**9
        lock = Lock(time=format_time(past_ns), exclusive=False, hostname="elsewhere", username="u", pid=4711)
        aged = LockId(session.repository.save_file(LOCKS, encode_lock(lock)))
        os.utime(place.repository / file_name(LOCKS, aged), ns=(past_ns, past_ns))
        session.repository.storage.delete(file_name(LOCKS, old))
        watched = watch(pruning)
        assert watched.switched is not None
        assert file_name(LOCKS, aged) not in lock_files(session)


def test_an_alarm_after_the_index_was_switched_stops_deletions(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        pruning = planned(session)
        switched = pruning.switch()
        before = place.packs()
        with pytest.raises(AlarmOpenError, match="while an alarm is open: docs"):
            delete_batch(pruning.prune, 0, nothing, alarm=lambda: "docs")
        assert place.packs() == before
        assert delete_batch(pruning.prune, 0, nothing).packs == switched.packs > 0
    place.assert_sound(snapshots=2)

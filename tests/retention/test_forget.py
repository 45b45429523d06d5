"""A forgetting: decided once, seen through whatever is killed, and by no way past a hold."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import RunClosedError, SnapshotNotFoundError, StorageDeniedError, UsageError
from holdfast.format.tags import SOURCE_TAG
from holdfast.ids import SnapshotId, from_hex, short, to_hex
from holdfast.prune.documents import Root
from holdfast.repository.layout import DATA, LOCKS, RUNS, SNAPSHOTS, file_name
from holdfast.repository.repository import Repository
from holdfast.repository.session import HeldRepository, RepositorySession
from holdfast.repository.snapshots import StoredSnapshot, list_snapshots
from holdfast.retention import forget as forgetting
from holdfast.retention.bin import bin_roots, binned_snapshots, take_back
from holdfast.retention.documents import ForgetOrder, ForgetReport, Opening
from holdfast.retention.forget import ForgetRun, carry_out, decide_order, open_forgetting, roots
from holdfast.retention.holds import AlarmNote, Proofs, hold, raise_alarm
from holdfast.retention.policy import Policy
from holdfast.retention.rules import Rules
from holdfast.retention.sizes import Usage
from holdfast.runs.opening import close_run
from holdfast.storage.contract import Storage
from holdfast.storage.layers.read_only import ReadOnly
from tests.interop.test_retention import write
from tests.retention.made import NOW_NS, daily, made
from tests.retention.reckoning import staying
from tests.support.doubles import DyingStorage, Killed
from tests.support.engine import PASSWORD, EngineRun, new_session
from tests.support.memory_storage import MemoryStorage
from tests.support.pruning import Pruning, everything
from tests.support.restore import restore

DAY = timedelta(days=1)
NO_RULES = Rules(sources={})


@contextmanager
def opened(storage: Storage) -> Iterator[RepositorySession]:
    session = RepositorySession(Repository.open(storage, PASSWORD))
    yield session
    session.close()


@pytest.fixture
def below() -> MemoryStorage:
    storage = MemoryStorage()
    Repository.init(storage, PASSWORD, kdf=ScryptParameters.for_tests())
    return storage


def begin(
    session: RepositorySession, order: ForgetOrder, run_id: str = "run", rules: Rules = NO_RULES
) -> tuple[ForgetRun, Opening]:
    run = ForgetRun(session=session, run_id=run_id)
    return run, open_forgetting(run, order, rules, Proofs(), now_ns=NOW_NS, by="Ann")


def forget(session: RepositorySession, order: ForgetOrder, rules: Rules = NO_RULES) -> ForgetReport:
    run, _ = begin(session, order, rules=rules)
    report = carry_out(run, now_ns=NOW_NS)
    close_run(run.workspace)
    return report


def there(session: RepositorySession) -> list[SnapshotId]:
    return [stored.id for stored in list_snapshots(session.repository)]


def in_bin(session: RepositorySession) -> list[SnapshotId]:
    return [binned.stored.id for binned in binned_snapshots(session.repository)]


def test_what_a_policy_does_not_keep_goes_into_the_bin(below: MemoryStorage) -> None:
    with opened(below) as session:
        write(session, daily(30))
        stored = list_snapshots(session.repository)
        policy = Policy(daily=7, monthly=3)
        kept = staying(policy, stored, NOW_NS)
        report = forget(session, ForgetOrder(policy=policy))
        assert set(there(session)) == kept
        assert set(in_bin(session)) == set(report.forgotten) == {one.id for one in stored} - kept
        assert [*below.list(RUNS)] == []


def test_snapshots_go_by_their_ids(below: MemoryStorage) -> None:
    with opened(below) as session:
        write(session, daily(3))
        first, second, third = list_snapshots(session.repository)
        report = forget(session, ForgetOrder(snapshots=(to_hex(first.id), short(third.id), to_hex(first.id))))
        assert there(session) == [second.id]
        assert set(report.forgotten) == {first.id, third.id}
        with pytest.raises(SnapshotNotFoundError):
            forget(session, ForgetOrder(snapshots=(to_hex(first.id),)))


def test_the_settings_say_it_for_each_source_and_for_all_others(below: MemoryStorage) -> None:
    with opened(below) as session:
        times = [stored.snapshot.time for stored in daily(6)]
        write(
            session,
            [
                *(made(time, tags=(f"{SOURCE_TAG}docs",)) for time in times),
                *(made(time, tags=(f"{SOURCE_TAG}db",)) for time in times),
                *(made(time) for time in times),
            ],
        )
        rules = Rules(
            sources={("mars", "docs"): Policy(last=2), ("mars", "db"): Policy(last=4)}, others=Policy(last=1)
        )
        forget(session, ForgetOrder(source="docs"), rules)
        assert len(there(session)) == 14
        forget(session, ForgetOrder(), rules)
        assert len(there(session)) == 2 + 4 + 1


@pytest.mark.parametrize(
    ("order", "wrong"),
    [
        (ForgetOrder(), "no policy says what stays"),
        (ForgetOrder(remove_all=True), "would forget everything"),
        (ForgetOrder(snapshots=("ab",), hosts=("mars",)), "snapshots are named"),
        (ForgetOrder(snapshots=("ab",), policy=Policy(last=1)), "snapshots are named"),
        (ForgetOrder(policy=Policy(tags=(("none",),))), "keeps no snapshot"),
        (ForgetOrder(policy=Policy(last=1), group_by="colour"), "--group-by"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    below: MemoryStorage, order: ForgetOrder, wrong: str
) -> None:
    with opened(below) as session:
        write(session, daily(3))
        with pytest.raises(UsageError, match=wrong):
            begin(session, order)
        assert len(there(session)) == 3
        assert [*below.list(RUNS)] == []


def test_the_policies_of_the_settings_are_about_sources_whatever_is_typed(below: MemoryStorage) -> None:
    with opened(below) as session:
        write(session, [made(one.snapshot.time, tags=(f"{SOURCE_TAG}docs",)) for one in daily(3)])
        rules = Rules(sources={("mars", "docs"): Policy(last=3)}, others=Policy(last=1))
        with pytest.raises(UsageError, match="--group-by needs a policy of its own"):
            begin(session, ForgetOrder(group_by="host,paths"), rules=rules)
        assert begin(session, ForgetOrder(), rules=rules)[1].going == ()


def test_of_a_repository_that_is_only_read_nothing_goes(below: MemoryStorage) -> None:
    with opened(below) as session:
        write(session, daily(3))
    session = RepositorySession(Repository.open(ReadOnly(below), PASSWORD), locked=False)
    with pytest.raises(StorageDeniedError, match="it is only read"):
        begin(session, ForgetOrder(policy=Policy(last=1)))


def test_all_that_a_filter_means_goes_if_that_is_said(below: MemoryStorage) -> None:
    with opened(below) as session:
        write(session, [*daily(3), *(made(one.snapshot.time, host="venus") for one in daily(2))])
        forget(session, ForgetOrder(hosts=("mars",), remove_all=True))
        assert [stored.snapshot.hostname for stored in list_snapshots(session.repository)] == ["venus"] * 2


def test_what_is_decided_is_not_decided_again(below: MemoryStorage) -> None:
    with opened(below) as session:
        write(session, daily(4))
        _, first = begin(session, ForgetOrder(policy=Policy(last=1)))
        run, second = begin(session, ForgetOrder(policy=Policy(last=3)))
        assert first == second
        assert first.stays == 1
        report = carry_out(run, now_ns=NOW_NS)
        assert carry_out(run, now_ns=NOW_NS) == report
        close_run(run.workspace)
        with pytest.raises(RunClosedError):
            carry_out(run, now_ns=NOW_NS)


@pytest.mark.parametrize("done", [False, True])
def test_killed_at_any_write_it_is_seen_through_and_nothing_is_lost(*, done: bool) -> None:
    everything = {stored.id: stored for stored in daily(4)}
    kills, is_over = 0, False
    while not is_over:
        below = MemoryStorage()
        Repository.init(below, PASSWORD, kdf=ScryptParameters.for_tests())
        with opened(below) as session:
            write(session, [*everything.values()])
            ids = set(there(session))
            newest = there(session)[-1]
        dying = DyingStorage(below, kills, done=done)
        with suppress(Killed), opened(dying) as session:
            forget(session, ForgetOrder(policy=Policy(last=1)))
        is_over, kills = not dying.dead, kills + 1
        below.delete_folder(LOCKS)
        with opened(below) as session:
            assert newest in there(session)
            assert {*there(session), *in_bin(session)} == ids
            if not is_over:
                forget(session, ForgetOrder(policy=Policy(last=1)))
            assert there(session) == [newest]
            assert set(in_bin(session)) == ids - {newest}
            assert [*below.list(RUNS)] == []
    assert kills > 12


def test_a_hold_that_comes_after_the_decision_is_kept(below: MemoryStorage) -> None:
    with opened(below) as session:
        write(session, daily(3))
        first, second, third = list_snapshots(session.repository)
        run, _ = begin(session, ForgetOrder(policy=Policy(last=1)))
        hold(session.repository, first, by="Bob", reason="audit", now_ns=NOW_NS)
        report = carry_out(run, now_ns=NOW_NS)
        assert there(session) == [first.id, third.id]
        assert report.forgotten == (second.id,)
        assert [going.reason for going in report.spared] == ["held: audit (Bob)"]
        with pytest.raises(UsageError, match=r"stays: held: audit \(Bob\)"):
            begin(session, ForgetOrder(snapshots=(to_hex(first.id),)), "another")


@pytest.mark.parametrize("before_it_is_back", ["nothing", "killed", "another attempt"])
def test_a_hold_that_comes_in_the_moment_of_the_removal_brings_the_snapshot_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before_it_is_back: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    with new_session(tmp_path / "repository") as session:
        EngineRun.of(session, source, run_id="1").run()
        EngineRun.of(session, source, run_id="2").run()
        first, second = list_snapshots(session.repository)
        run = ForgetRun(session=session, run_id="run")
        order = ForgetOrder(policy=Policy(last=1))
        open_forgetting(run, order, NO_RULES, Proofs(), now_ns=time.time_ns(), by="Ann")
        storage = session.repository.storage
        delete = type(storage).delete

        def holding(self: Storage, name: str) -> None:
            if to_hex(first.id) in name:
                hold(session.repository, first, by="Bob", reason="audit", now_ns=time.time_ns())
            delete(self, name)

        def taking_back(held: HeldRepository, prefix: str) -> SnapshotId:
            monkeypatch.setattr(forgetting, "take_back", take_back)
            if before_it_is_back == "killed":
                raise Killed
            if before_it_is_back == "another attempt":
                take_back(held, prefix)
            return take_back(held, prefix)

        monkeypatch.setattr(type(storage), "delete", holding)
        monkeypatch.setattr(forgetting, "take_back", taking_back)
        if before_it_is_back == "killed":
            with pytest.raises(Killed):
                carry_out(run, now_ns=time.time_ns())
            assert (there(session), in_bin(session)) == ([second.id], [first.id])
        report = carry_out(run, now_ns=time.time_ns())
        monkeypatch.undo()
        assert there(session) == [first.id, second.id]
        assert report.forgotten == ()
        assert len(report.spared) == 1


def test_a_held_snapshot_that_another_program_has_removed_stops_no_forgetting(below: MemoryStorage) -> None:
    with opened(below) as session:
        write(session, daily(3))
        first, second, third = list_snapshots(session.repository)
        run, _ = begin(session, ForgetOrder(policy=Policy(last=1)))
        hold(session.repository, first, by="Bob", reason="audit", now_ns=NOW_NS)
        below.delete(file_name(SNAPSHOTS, first.id))
        report = carry_out(run, now_ns=NOW_NS)
        assert (there(session), in_bin(session)) == ([third.id], [second.id])
        assert (report.forgotten, report.spared) == ((second.id, first.id), ())


def test_an_alarm_that_comes_after_the_decision_is_kept(below: MemoryStorage) -> None:
    with opened(below) as session:
        write(session, daily(3))
        run, _ = begin(session, ForgetOrder(policy=Policy(last=1)))
        note = AlarmNote(
            host="mars", source="docs", paths=("/data",), since_ns=NOW_NS, alarm="noise", run="r"
        )
        raise_alarm(session.repository, note)
        report = carry_out(run, now_ns=NOW_NS)
        assert len(there(session)) == 3
        assert [going.reason for going in report.spared] == ["alarm: docs"] * 2


def test_a_budget_of_the_settings_takes_the_oldest(tmp_path: Path) -> None:
    source, random = tmp_path / "source", Random(3)
    source.mkdir()
    with new_session(tmp_path / "repository") as session:
        for number in range(5):
            (source / "file").write_bytes(random.randbytes(100_000))
            EngineRun.of(session, source, run_id=f"{number}").run()
        everything = there(session)
        rules = Rules(sources={}, size_bytes=250_000)
        run = ForgetRun(session=session, run_id="run")
        open_forgetting(run, ForgetOrder(), rules, Proofs(), now_ns=time.time_ns(), by="Ann")
        carry_out(run, now_ns=time.time_ns())
        assert there(session) == everything[-2:]
        with session.hold() as held:
            decision = decide_order(held, ForgetOrder(), rules, Proofs(), time.time_ns())
            assert decision.going == []
            assert {stored.id for stored in roots(held)} == set(everything)


@pytest.mark.parametrize("days", [40, pytest.param(731, marks=pytest.mark.heavy)])
def test_years_of_daily_backups_under_a_policy(tmp_path: Path, below: MemoryStorage, days: int) -> None:
    """A clock that goes by days, a policy each day and a prune each month: the snapshots are those of an independent
    reckoning, each restores, and the repository has what they and the bin need, and hardly more."""
    source, random = tmp_path / "source", Random(16)
    source.mkdir()
    (source / "stays").write_bytes(random.randbytes(50_000))
    policy = Policy(daily=7, weekly=4, monthly=6, yearly=2)
    rules = Rules(sources={}, others=policy)
    first = datetime(2023, 1, 1, 3, 0, tzinfo=UTC)
    reckoned: list[StoredSnapshot] = []
    states: dict[bytes, bytes] = {}
    largest = 0
    with opened(below) as session:
        for day in range(days):
            now_ns = int((first + day * DAY).timestamp()) * 10**9
            content = random.randbytes(20_000)
            (source / "changes").write_bytes(content)
            run = EngineRun.of(session, source, run_id=f"{day}")
            run.order = replace(run.order, started_ns=now_ns)
            made_now = run.run().snapshot
            states[made_now] = content
            new = [stored for stored in list_snapshots(session.repository) if stored.id == made_now]
            reckoned = [*reckoned, *new]
            an_hour_later_ns = now_ns + 3600 * 10**9
            kept = staying(policy, reckoned, an_hour_later_ns)
            reckoned = [stored for stored in reckoned if stored.id in kept]
            forgetting = ForgetRun(session=session, run_id=f"forget-{day}")
            open_forgetting(
                forgetting, ForgetOrder(), rules, Proofs(), now_ns=an_hour_later_ns, by="schedule"
            )
            carry_out(forgetting, now_ns=an_hour_later_ns)
            close_run(forgetting.workspace)
            assert set(there(session)) == {stored.id for stored in reckoned}
            if day % 30 == 29:
                binned = tuple(
                    Root(from_hex(stored.snapshot.tree)) for stored in bin_roots(session.repository)
                )
                Pruning(session, run_id=f"prune-{day}", order=everything(roots=binned)).run()
                with session.hold() as held:
                    usage = Usage(held)
                    needed = sum(usage.add(stored) for stored in roots(held))
                stored_bytes = sum(file.size_bytes for file in below.list(DATA))
                assert needed <= stored_bytes < 1.1 * needed + 20_000
                largest = max(largest, stored_bytes)
        assert len(reckoned) <= 7 + 4 + 6 + 2
        assert len(in_bin(session)) <= 8  # a week of them
        assert largest < 50_000 + 30 * 25_000
        for number, stored in enumerate(reckoned):
            target = tmp_path / f"target-{number}"
            restore(session, target, snapshot=f"{to_hex(stored.id)}:{source}")
            assert (target / "changes").read_bytes() == states[stored.id]
            assert (target / "stays").read_bytes() == (source / "stays").read_bytes()

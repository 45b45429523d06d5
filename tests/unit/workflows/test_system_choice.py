"""Which snapshots a recovery of a system takes: those of one run where one is whole, else each member's newest."""

from holdfast.contracts.system import Found, FoundSnapshot
from holdfast.workflows.system_restore import choose_snapshots


def snapshot(name: str, time_ns: int, run: str = "", *, partial: bool = False) -> FoundSnapshot:
    return FoundSnapshot(snapshot_id=name, time_ns=time_ns, system_run=run, partial=partial)


def found(*snapshots: FoundSnapshot) -> Found:
    return Found(repository="home", host="host", snapshots=snapshots)


def test_the_newest_whole_run_counts_before_newer_single_snapshots() -> None:
    run, chosen = choose_snapshots(
        {
            "db": found(snapshot("d4", 40, "r4"), snapshot("d2", 20, "r2"), snapshot("d1", 10, "r1")),
            "etc": found(snapshot("e5", 50), snapshot("e2", 21, "r2"), snapshot("e1", 11, "r1")),
        }
    )
    assert (run, chosen["db"].snapshot_id, chosen["etc"].snapshot_id) == ("r2", "d2", "e2")


def test_a_run_with_a_partial_snapshot_is_not_whole() -> None:
    run, chosen = choose_snapshots(
        {
            "db": found(snapshot("d2", 20, "r2"), snapshot("d1", 10, "r1")),
            "etc": found(snapshot("e2", 21, "r2", partial=True), snapshot("e1", 11, "r1")),
        }
    )
    assert (run, chosen["etc"].snapshot_id) == ("r1", "e1")


def test_without_a_whole_run_each_newest_counts() -> None:
    run, chosen = choose_snapshots(
        {"db": found(snapshot("d2", 20, "r2")), "etc": found(snapshot("e1", 11, "r1"))}
    )
    assert run == ""
    assert {label: one.snapshot_id for label, one in chosen.items()} == {"db": "d2", "etc": "e1"}


def test_a_member_without_any_snapshot_keeps_no_run_from_being_whole() -> None:
    run, chosen = choose_snapshots({"db": found(snapshot("d1", 10, "r1")), "new": found()})
    assert (run, set(chosen)) == ("r1", {"db"})

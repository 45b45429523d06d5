"""The protocol of prune (docs/retention.md) holds in all orders of small cases, and each rule of it is needed."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import pytest

from tests.model.actors import (
    Backup,
    Binning,
    Prune,
    Refresh,
    ResticBackup,
    ResticForget,
    ResticPrune,
    ResticRepairIndex,
    Sleep,
)
from tests.model.world import Actor, World, explore

_START: Final = World(
    packs=frozenset({"P0=e", "P1=ab", "P2=c", "O=d"}),
    index_files=frozenset({("F1", frozenset({"P0=e", "P1=ab"})), ("F2", frozenset({"P2=c"}))}),
    snapshots=frozenset({("S", frozenset("ae"))}),
    acknowledged=frozenset({"S"}),
)
"""P0 stays, P1 is to be repacked, P2 to be dropped; O is in no index, of a crash or of a run that may go on."""


class Case(NamedTuple):
    """Who meets. actors: made with what the protocol is to lack. large: more than fifty thousand states."""

    actors: Callable[[str], Sequence[Actor]]
    crashes: int = 0
    lapses: int = 0
    marks: bool = False
    large: bool = False

    def problem(self, without: str = "", *, named_at_the_end: bool = False) -> str:
        start = _START._replace(crashes=self.crashes, lapses=self.lapses)
        late = named_at_the_end or self.lapses > 0 or self.marks
        return explore(start, self.actors(without), named_at_the_end=late).problem


_CASES: Final = {
    "backups": Case(
        lambda lack: (Prune(without=lack), Backup("b", without=lack), ResticBackup("c")), crashes=1
    ),
    "a checkpoint": Case(
        lambda lack: (Prune(without=lack), Backup("c", checkpoint="P2=c", without=lack)), crashes=1
    ),
    "a checkpoint of a pack in no index": Case(
        lambda lack: (Prune(without=lack), Backup("d", checkpoint="O=d", without=lack)), crashes=1
    ),
    "checkpoints": Case(
        lambda lack: (
            Prune(without=lack),
            Backup("d", checkpoint="O=d", without=lack),
            Backup("c", checkpoint="P2=c", without=lack),
        ),
        large=True,
    ),
    "two prunes": Case(
        lambda lack: (
            Prune(without=lack),
            Prune(without=lack, name="other", young=True),
            Backup("c", checkpoint="P2=c", without=lack),
        ),
        large=True,
    ),
    "stock prune": Case(lambda lack: (Prune(without=lack), ResticPrune(), ResticBackup("c")), crashes=1),
    "stock forget and prune": Case(
        lambda lack: (Prune(without=lack), ResticForget("S"), ResticPrune(), ResticBackup("c")), crashes=1
    ),
    "stock forget and prune beside a backup": Case(
        lambda lack: (Prune(without=lack), ResticForget("S"), ResticPrune(), Backup("c")),
        crashes=1,
        large=True,
    ),
    "stock repair": Case(
        lambda lack: (Prune(without=lack), ResticRepairIndex(), ResticBackup("c")), crashes=1
    ),
    "a lapse beside a backup": Case(
        lambda lack: (Prune(without=lack), Backup("c", checkpoint="P2=c", without=lack)), lapses=1
    ),
    "a lapse beside a stock backup": Case(lambda lack: (Prune(without=lack), ResticBackup("c")), lapses=2),
    "lapses beside backups": Case(
        lambda lack: (Prune(without=lack), Backup("c", checkpoint="P2=c", without=lack), ResticBackup("b")),
        lapses=1,
        large=True,
    ),
    "a lapse beside a stock prune": Case(
        lambda lack: (Prune(without=lack), ResticPrune()), lapses=2, crashes=1
    ),
    "lapses beside a stock prune": Case(
        lambda lack: (Prune(without=lack), ResticPrune(), Backup("c", without=lack)), lapses=2, large=True
    ),
    "marked": Case(
        lambda lack: (Prune(marks=True, without=lack), ResticBackup("c")), crashes=1, lapses=1, marks=True
    ),
    "marked, beside backups": Case(
        lambda lack: (Prune(marks=True, without=lack), ResticBackup("c"), Backup("b", without=lack)),
        crashes=1,
        marks=True,
        large=True,
    ),
    "marked, checkpoints": Case(
        lambda lack: (Prune(marks=True, without=lack), Backup("c", checkpoint="P2=c", without=lack)),
        crashes=1,
        marks=True,
    ),
    "marked, a lock is refreshed": Case(
        lambda lack: (Prune(marks=True, without=lack), ResticBackup("c"), Refresh("restic-c")), marks=True
    ),
    "marked, a client sleeps": Case(
        lambda lack: (Prune(marks=True, without=lack), ResticBackup("c"), Sleep("restic-c")), marks=True
    ),
    "marked, the bin": Case(
        lambda lack: (Prune(marks=True, without=lack), ResticBackup("c"), Binning("restic-c")),
        crashes=1,
        marks=True,
    ),
    "marked, a lapse of ours": Case(
        lambda lack: (Prune(marks=True, without=lack), Backup("c", checkpoint="P2=c", without=lack)),
        lapses=1,
        marks=True,
        large=True,
    ),
    "marked, stock prune": Case(
        lambda lack: (Prune(marks=True, without=lack), ResticPrune(), ResticBackup("c")), marks=True
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.heavy] * case.large) for name, case in _CASES.items()]
)
def test_nothing_that_is_needed_goes(name: str) -> None:
    assert _CASES[name].problem() == ""


@pytest.mark.parametrize(
    ("without", "name", "problem"),
    [
        ("second look", "backups", "gone"),
        ("exclusive lock", "backups", "gone"),
        ("new generation", "backups", "gone"),
        ("new files first", "backups", "in no index"),
        ("condemned list", "a checkpoint", "gone"),
        ("list of its own", "two prunes", "gone"),
        ("list afterwards", "a lapse beside a backup", "gone"),
        ("full look", "stock prune", "gone"),
        ("look at the index", "stock repair", "gone"),
        ("last look", "a lapse beside a stock backup", "gone"),
        ("look at packs", "a lapse beside a stock prune", "gone"),
        ("fence", "marked", "gone"),
        ("second look at locks", "marked, a lock is refreshed", "gone"),
        ("old locks go", "marked, a client sleeps", "gone"),
    ],
)
def test_each_rule_is_needed(without: str, name: str, problem: str) -> None:
    found = _CASES[name].problem(without, named_at_the_end=problem == "gone")
    assert found.startswith(problem)


def test_what_nobody_can_promise() -> None:
    """A `restic repair index` that names a pack again between our look and our removal, while our lock has lapsed."""
    found = explore(
        _START._replace(lapses=1), (Prune(), ResticRepairIndex(), ResticBackup("c")), named_at_the_end=True
    )
    assert found.problem == "gone: ['c']"
    assert any(step.startswith("prune: PruneState(at='delete-now'") for step in found.trace)

"""The pace on a clock that the test turns."""

from pathlib import Path

import pytest

from holdfast import pace as pace_module
from holdfast.pace import Pace, RateRules, RateWindow, SharedPace

MIB = 1 << 20


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.minute_now = 0

    def __call__(self) -> float:
        return self.now

    def minute(self) -> int:
        return self.minute_now

    def pace(self, rules: RateRules) -> Pace:
        return Pace(rules, clock=self, minute=self.minute)


@pytest.mark.parametrize("piece", [4096, 300_000, 3 * MIB])
def test_the_average_keeps_to_the_rate_whatever_the_pieces(piece: int) -> None:
    clock = Clock()
    pace = clock.pace(RateRules(bytes_per_second=MIB))
    began, total = clock.now, 0
    while total < 200 * MIB:
        clock.now += pace.spend(piece) + 0.0001
        total += piece
    assert total / (clock.now - began) == pytest.approx(MIB, rel=0.05)


@pytest.mark.parametrize(
    ("rules", "seconds"),
    [
        (RateRules(), 100.0),
        (RateRules(bytes_per_second=4 * MIB), 250.0),
        (RateRules(bytes_per_second=40 * MIB), 100.0),
        # two minutes at 1 MiB/s until the window begins, the other 880 MiB at the measured rate
        (
            RateRules(
                bytes_per_second=MIB,
                windows=(RateWindow(start_minute=602, end_minute=0, bytes_per_second=0),),
            ),
            120.0 + 88.0,
        ),
        # over the end of a window and over midnight: 14 hours at 512 B/s, the rest as fast as it goes
        (
            RateRules(windows=(RateWindow(start_minute=600, end_minute=0, bytes_per_second=512),)),
            14 * 3600 + 100.0 - 14 * 3600 * 512 / (10 * MIB),
        ),
    ],
)
def test_the_time_that_is_left_knows_the_limits_to_come(rules: RateRules, seconds: float) -> None:
    assert rules.seconds_for(1000 * MIB, 10 * MIB, 600) == pytest.approx(seconds)


def test_unused_time_makes_no_burst() -> None:
    clock = Clock()
    pace = clock.pace(RateRules(bytes_per_second=MIB))
    clock.now += 3600
    began, total = clock.now, 0
    while total < 20 * MIB:
        clock.now += pace.spend(MIB)
        total += MIB
    assert clock.now - began >= 18


def test_the_window_that_holds_the_time_decides_also_over_midnight() -> None:
    night = RateWindow(start_minute=22 * 60, end_minute=6 * 60, bytes_per_second=0)
    rules = RateRules(bytes_per_second=MIB, windows=(night,))
    assert [rules.rate_at(minute) for minute in (0, 359, 360, 1319, 1320, 1439)] == [0, 0, MIB, MIB, 0, 0]


def test_a_limit_that_ends_while_it_runs_is_gone_at_once() -> None:
    clock = Clock()
    evening = RateWindow(start_minute=0, end_minute=60, bytes_per_second=MIB)
    pace = clock.pace(RateRules(windows=(evening,)))
    pace.spend(100 * MIB)
    assert pace.spend(MIB) > 90
    clock.minute_now = 60
    assert pace.spend(MIB) == 0.0
    assert pace.piece_bytes(32 * MIB) == 32 * MIB


def test_all_who_share_a_ledger_keep_to_one_rate(tmp_path: Path) -> None:
    clock = Clock()
    rules = RateRules(bytes_per_second=MIB)
    paces = [SharedPace(rules, tmp_path / "pace" / "ledger", clock=clock) for _ in range(3)]
    began, total = clock.now, 0
    while total < 60 * MIB:
        for pace in paces:
            clock.now += pace.spend(MIB)
            total += MIB
    assert total / (clock.now - began) == pytest.approx(MIB, rel=0.05)
    assert (tmp_path / "pace").stat().st_mode & 0o777 == 0o700


def test_what_another_boot_has_left_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules, ledger = RateRules(bytes_per_second=MIB), tmp_path / "ledger"
    SharedPace(rules, ledger).spend(1000 * MIB)
    assert SharedPace(rules, ledger).spend(1) > 900
    monkeypatch.setattr(pace_module, "_this_boot", lambda: b"another boot".ljust(36))
    assert SharedPace(rules, ledger).spend(1) == 0


def test_without_a_ledger_each_keeps_to_the_rate_by_itself(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    pace = SharedPace(RateRules(bytes_per_second=MIB), tmp_path / "file" / "ledger")
    assert pace.spend(10 * MIB) == 0
    assert pace.spend(1) > 8

"""What is proposed for a source, from its runs or from two scans."""

import itertools
from dataclasses import replace
from pathlib import Path

from holdfast.control.schedules.advice import DAY_S, Facts, Wishes, advise
from holdfast.control.schedules.measurements import from_runs, from_scans
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.load import load_settings
from holdfast.source.spec import SourceSpec
from holdfast.terms import RunKind, RunStatus
from tests.triggers.site import Site

GIB = 1 << 30
NS = 10**9


def run(day: float, *, total: int, changed: int, parent: str = "1" * 64) -> RunRecord:
    return RunRecord(
        run_id=f"run-{day}",
        kind=RunKind.BACKUP,
        status=RunStatus.COMPLETE,
        repository="home",
        source="docs",
        parent=parent,
        started_ns=round(day * DAY_S * NS) + NS,
        ended_ns=round(day * DAY_S * NS) + 11 * NS,
        counters={
            "selected_bytes_to_read": changed,
            "stored_bytes_read": changed,
            "data_added_packed": changed // 2,
            "bytes_total": total,
            "files": 100,
        },
    )


def test_facts_of_runs() -> None:
    runs = [run(day, total=GIB, changed=10 << 20) for day in (4, 3, 2, 1)] + [
        run(0, total=GIB, changed=GIB, parent="")
    ]
    facts = from_runs(runs)
    assert facts is not None
    assert facts.changed_bytes_per_day == 10 << 20
    assert facts.added_bytes_per_day == 5 << 20
    assert facts.read_bytes_per_s == GIB / 10
    assert from_runs(runs[-1:]) is None


def test_facts_of_two_scans(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"file-{number}").write_bytes(bytes(100))
    spec = SourceSpec(roots=(bytes(tmp_path),))

    def write(_: float) -> None:
        (tmp_path / "file-3").write_bytes(bytes(200))

    facts = from_scans(spec, 60, write)
    assert (facts.bytes_total, facts.files) == (1_100, 10)
    assert 0 < facts.changed_bytes_per_day <= 1_100


def test_each_wish_changes_the_proposal() -> None:
    large = Facts(bytes_total=500 * GIB, files=10**6, changed_bytes_per_day=GIB, origin="measured")
    calm = advise(large, Wishes())
    assert [one.strategy for one in calm.schedules] == ["full", "incremental"]
    assert calm.schedules[0].name == "monthly"
    critical = advise(large, Wishes(critical=True, rpo_s=3_600))
    assert [one.strategy for one in critical.schedules] == ["full", "differential", "incremental"]
    assert critical.schedules[-1].when == 'every = "30m"'
    assert critical.read_bytes_per_week > 500 * GIB
    late = advise(large, Wishes(rto_s=600))
    assert any("RTO" in warning for warning in late.warnings)
    assert any("watch" in warning for warning in advise(large, Wishes(rpo_s=300)).warnings)
    busy = advise(
        Facts(bytes_total=GIB, files=9, changed_bytes_per_day=0.9 * GIB, origin="measured"), Wishes()
    )
    assert busy.schedules[0].strategy == "full"


def test_every_proposal_is_a_settings_file_that_loads(site: Site) -> None:
    wishes = [
        Wishes(critical=critical, rpo_s=rpo_s)
        for critical, rpo_s in itertools.product((True, False), (60.0, 3_600.0, DAY_S, 30 * DAY_S))
    ]
    for total, changed, wish in itertools.product((0, 1 << 20, 900 * GIB), (0.0, 5e8, 9e11), wishes):
        facts = Facts(
            bytes_total=total, files=1, changed_bytes_per_day=min(changed, total), origin="measured"
        )
        site.declare(advise(facts, wish).toml("docs"))
        assert load_settings(site.config, {"HOME": "/"}).source("docs").schedules


def test_the_command_tells_from_the_journal(site: Site) -> None:
    (site.source / "file").write_bytes(b"content")
    journal = Journal.at(site.settings.journal_path)
    for day in range(3):
        journal.record(replace(run(day, total=GIB, changed=1 << 20), host=site.host))
        journal.record(replace(run(day + 9, total=9 * GIB, changed=GIB), host="another"))
    told = site.holdfast("advise", "docs", "--critical", "--rpo", "2h")
    assert 'every = "1h"' in told
    assert "3 runs in 2.0 days" in told
    assert 'kind = "retention"' in told
    assert "Per week" in told

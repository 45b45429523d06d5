"""The report page: the same from both databases, sound, and shut against what it quotes."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from holdfast.contracts.veiled import STATE_DIR
from holdfast.control.records import find_backup
from holdfast.file_list import FileAction, FileRecord
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import OutputRecord, RunRecord, VerdictRecord
from holdfast.service.settings.model import Settings
from holdfast.starter.view.report.chart import round_bytes, round_percent, round_seconds
from holdfast.starter.view.report.content import MAX_PROBLEMS, ReportContent, gather
from holdfast.starter.view.report.page import render_page
from holdfast.terms import RunKind, RunStatus

HOUR_NS: Final = 3_600_000_000_000
EVIL: Final = "<script>alert('x')</script>"
EMPTY_TAGS: Final = frozenset(("meta", "br", "img", "line", "rect", "path"))
RUN = RunRecord(
    run_id="backup:mars:home:documents/0",
    kind=RunKind.BACKUP,
    status=RunStatus.COMPLETE,
    repository="home",
    source="documents",
    host="mars",
    trigger_by=EVIL,
    strategy="incremental",
    snapshot_id="cd" * 32,
    started_ns=1_800_000_000_000_000_000,
    ended_ns=1_800_000_000_000_000_000 + HOUR_NS // 2,
    counters={"bytes_total": 1 << 30, "data_added": 1 << 24, "files": 12},
    verdict=VerdictRecord(level="written", ok=True, blobs=3),
)


def fill(journal: Journal) -> RunRecord:
    """Twelve runs of all ends; the last one is partial, and too much of it went wrong."""
    ends = [RunStatus.COMPLETE, RunStatus.FAILED, RunStatus.PARTIAL, RunStatus.CANCELLED] * 3
    ends[-1] = RunStatus.PARTIAL
    run = RUN
    for number, end in enumerate(ends):
        run = replace(
            RUN,
            run_id=f"backup:mars:home:documents/{number}",
            status=end,
            snapshot_id=RUN.snapshot_id if end in {RunStatus.COMPLETE, RunStatus.PARTIAL} else "",
            started_ns=RUN.started_ns + number * HOUR_NS,
            ended_ns=RUN.ended_ns + number * HOUR_NS,
        )
        journal.record(run)
    wrong = [
        FileRecord(path=f"/{EVIL}/{number}".encode(), action=FileAction.UNREADABLE, message=EVIL)
        for number in range(MAX_PROBLEMS + 7)
    ]
    new = [FileRecord(path=b"/new/\xff", action=FileAction.NEW, size_bytes=77)]
    journal.add_files(run.run_id, [*new, *wrong])
    found = journal.run(run.run_id)
    assert found is not None
    return found


def content_of(journal: Journal, tmp_path: Path) -> ReportContent:
    settings = Settings(path=None, state_dir=tmp_path, host="mars")
    return gather(settings, journal, fill(journal))


class Page(HTMLParser):
    """Tags in the order of their nesting, and the attributes that could fetch something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.fetching: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.fetching += [f"{tag} {name}" for name, _ in attrs if name in {"src", "href", "srcset", "data"}]
        if tag not in EMPTY_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY_TAGS:
            assert self.open.pop() == tag


def test_both_databases_give_the_same_page(postgres_journal: Journal, tmp_path: Path) -> None:
    file = Journal.at(tmp_path / "journal.db")
    assert render_page(content_of(file, tmp_path)) == render_page(content_of(postgres_journal, tmp_path))


def test_the_page_is_sound_and_fetches_nothing(tmp_path: Path) -> None:
    page = render_page(content_of(Journal.at(tmp_path / "journal.db"), tmp_path))
    read = Page(page)
    assert read.open == []
    assert read.fetching == []
    assert "script" not in read.tags
    assert "url(" not in page
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 3
    for drawing in drawings:
        ET.fromstring(drawing)  # noqa: S314 - our own
    assert "207 paths went wrong" in page
    assert "… and 7 more" in page
    assert r"/new/\xff" in page
    assert page.count("<tr>") + page.count('<tr class="this">') > MAX_PROBLEMS


def test_a_run_without_others_has_no_charts_and_one_with_damage_says_so(tmp_path: Path) -> None:
    journal = Journal.at(tmp_path / "journal.db")
    damaged = replace(
        RUN, verdict=VerdictRecord(level="full", ok=False, problem_count=2, problems=(EVIL, "pack ab"))
    )
    journal.record(damaged)
    page = render_page(gather(Settings(path=None, state_dir=tmp_path, host="mars"), journal, damaged))
    assert "<svg" not in page
    assert "damage found" in page
    assert "The verification found 2 problems" in page
    assert EVIL not in page


def page_of(journal: Journal, tmp_path: Path, run: RunRecord) -> str:
    journal.record(run)
    return render_page(gather(Settings(path=None, state_dir=tmp_path, host="mars"), journal, run))


def test_a_failure_has_its_reason_the_next_step_and_the_hooks(tmp_path: Path) -> None:
    journal = Journal.at(tmp_path / "journal.db")
    failed = replace(
        RUN,
        status=RunStatus.FAILED,
        reason="no parent",
        verdict=None,
        failure_kind="StorageDeniedError",
        failure_message=f"{STATE_DIR}: read-only\nRemount it.",
    )
    dump = OutputRecord(hook="dump", moment="before", exit_code=3, started_ns=0, ended_ns=10**9, output=EVIL)
    journal.add_output(failed.run_id, dump)
    page = page_of(journal, tmp_path, failed)
    assert Page(page).open == []
    assert f"<p>{tmp_path}: read-only <span" in page
    assert "Remount it. `holdfast resume uments/0`, or the next backup" in page
    assert ">exit code 3</td>" in page
    assert ">1.0 s</td>" in page
    assert EVIL not in page


def test_a_drill_says_what_it_proves_and_how_that_stands_against_its_goals(tmp_path: Path) -> None:
    counters = {
        "proven": 1,
        "estimated_recovery_ms": 600_000,
        "rto_goal_s": 3600,
        "rto_met": 1,
        "data_age_s": 7200,
        "rpo_goal_s": 3600,
        "rpo_met": 0,
    }
    drill = replace(
        RUN,
        kind=RunKind.DRILL,
        run_id="drill:mars:home:monthly/1",
        reason="all, seed 7",
        counters=counters,
        verdict=VerdictRecord(level="drill", ok=False, problem_count=1, problems=("too old",)),
    )
    page = page_of(Journal.at(tmp_path / "journal.db"), tmp_path, drill)
    assert 'badge bad">proven, RPO MISSED<' in page
    assert '>10m</div><div class="more">goal: 1h, met<' in page
    assert '>2h</div><div class="more">goal: 1h, MISSED<' in page
    assert "What the drill found" in page
    assert "verification" not in page.lower().replace("<dt>verification", "")


def test_the_report_of_a_source_is_of_its_newest_backup_that_ended(tmp_path: Path) -> None:
    journal = Journal.at(tmp_path / "journal.db")
    assert find_backup(journal, "documents") is None
    later = {
        "backup:mars:home:documents/1": RunKind.BACKUP,
        "guard:mars:home:documents/2": RunKind.GUARD,
        "drill:mars:home:monthly/3": RunKind.DRILL,
    }
    running = replace(RUN, run_id="backup:mars:home:documents/4", status=RunStatus.RUNNING, ended_ns=0)
    journal.record(replace(running, started_ns=RUN.started_ns + 9))
    found = find_backup(journal, "documents")
    assert found is not None
    assert found.run_id.endswith("/4")
    for number, (run_id, kind) in enumerate(later.items()):
        journal.record(replace(RUN, run_id=run_id, kind=kind, started_ns=RUN.started_ns + number))
    found = find_backup(journal, "documents")
    assert found is not None
    assert found.run_id.endswith("/1")


@pytest.mark.parametrize("value", [0.003, 0.5, 1.0, 3.0, 59.9, 3599.0, 3601.0, 90_000.0, 1e9])
def test_scales_hold_their_values_and_not_much_more(value: float) -> None:
    assert value <= round_bytes(value) <= max(1.0, 2 * value)
    assert value <= round_seconds(value)
    assert value * 0.999 <= round_percent(value) <= max(2.5 * value, 0.001)

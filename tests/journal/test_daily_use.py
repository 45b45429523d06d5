"""What an operator asks each day, on a month of backups (tests/support/month.py): one command each."""

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.starter.main import main
from tests.support.month import DAYS, HOUR_NS, Month


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    made = Month.make(tmp_path_factory.mktemp("month"), time.time_ns())
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("RESTIC_", "HOLDFAST_"))]:
            patch.delenv(name)
        patch.setenv("HOLDFAST_CONFIG", str(made.config))
        patch.setenv("HOLDFAST_CACHE_DIR", str(made.folder / "cache"))
        yield made


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(arguments) == code
    return capsys.readouterr().out


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    return json.loads(told(capsys, *arguments, "--json", code=code))


def test_are_all_my_sources_safe_and_since_when_not(month: Month, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "status", code=2)
    sources = {one["source"]: one for one in found["sources"]}
    assert [(name, one["state"]) for name, one in sources.items()] == [
        ("music", "never"),
        ("database", "overdue"),
        ("photos", "partial"),
        ("documents", "good"),
    ]
    assert found["state"] == "never"
    database, documents = sources["database"], sources["documents"]
    assert database["failures"] == 15
    assert database["last_failure"]["message"].endswith(f"{month.folder}/dumps does not exist")
    assert database["since_ns"] == database["last_good_ns"] + 26 * 3_600 * 10**9
    assert (documents["verified"]["level"], documents["next_note"]) == ("full", "no service")
    assert documents["proven"]["snapshot_id"]
    assert documents["added_bytes_per_week"] > 0
    assert sources["music"]["verified"] is None
    lines = told(capsys, "status", code=2).splitlines()
    assert [line.split()[:2] for line in lines[2:6]] == [
        [one["state"], name] for name, one in sources.items()
    ]
    assert any(line.startswith("database: failed 15 times since ") for line in lines)


def test_a_source_has_its_time_line_and_an_exit_code_of_its_own(
    month: Month, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "snapshot" in told(capsys, "status", "documents")
    shown = told(capsys, "status", "photos", "--limit", "100", code=3)
    assert "cancelled by ben: the line was needed" in shown
    assert shown.count("backup incremental") == 15
    run = answer(capsys, "status", "photos", code=3)["sources"][0]["runs"][0]
    assert run["short_id"] in told(capsys, "status", run["short_id"]), "a run by its id"
    assert main(["status", "phtos"]) == 1
    assert "no run and no source is called 'phtos'" in capsys.readouterr().err


def test_what_changed_on_a_day_with_what_was_deleted(
    month: Month, capsys: pytest.CaptureFixture[str]
) -> None:
    since = (month.night_ns(DAYS - 7) - 6 * HOUR_NS) // 10**9
    moments = [datetime.fromtimestamp(since + days * 86_400, UTC).isoformat() for days in (0, 1)]
    shown = told(capsys, "changes", "documents", "--since", moments[0], "--until", moments[1]).splitlines()
    documents = month.folder / "home/documents"
    gone = [line.split()[1] for line in shown if line.startswith("-")]
    assert gone == [f"{documents}/letter-{number:02d}.txt" for number in (3, 4, 5, 6)]
    assert any(line.startswith(f"+    {documents}/archive/letter-06.txt") for line in shown)
    assert any(line.startswith(f"M    {documents}/diary.txt") for line in shown)
    assert shown[-1].startswith("2 new, 4 gone, 1 changed; since snapshot ")
    lines = told(capsys, "changes", "documents", "--json").splitlines()
    counts = json.loads(lines[-1])
    assert (counts["added_files"], counts["removed_files"], counts["changed_files"]) == (1, 0, 1)
    assert main(["changes", "documents", "--since", moments[1], "--until", moments[0]]) == 1
    assert main(["changes", "music"]) == 1
    assert "music has no snapshot of that time; there is none at all" in capsys.readouterr().err


def test_the_versions_of_a_file(month: Month, capsys: pytest.CaptureFixture[str]) -> None:
    moved = f"{month.folder}/home/documents/letter-06.txt"
    versions = answer(capsys, "ls", "--versions", moved)
    assert [version["node"] is None for version in versions] == [True, False], "newest first"
    assert len(answer(capsys, "ls", "--versions", f"{month.folder}/home/documents/diary.txt")) == DAYS
    assert "0 versions" in told(capsys, "ls", "--versions", "/elsewhere")
    assert main(["ls", "--versions"]) == 1


def test_how_much_room_each_source_takes_and_how_long_the_disk_lasts(
    month: Month, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, "stats", "--mode", "shares")
    grows = {one["source"]: one["added_bytes_per_week"] for one in found["sources"]}
    assert set(grows) == {"documents", "photos", "database"}
    assert all(3 * 96 << 10 < grows[name] < 4 * 110 << 10 for name in ("photos",)), grows
    assert found["free_bytes"] > 0
    assert "are free where the repository lies; at " in told(capsys, "stats", "--mode", "shares")


def test_which_backup_a_drill_has_proven(month: Month, capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(capsys, "drills")
    proven = answer(capsys, "status", "documents")["sources"][0]["proven"]["snapshot_id"]
    assert f"from snapshot {proven[:8]}" in shown


def test_who_decided_what(month: Month, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "decisions")
    assert [(one["by"], one["what"], one["why"]) for one in found] == [
        ("anna", "hold", "the audit of November"),
        ("ben", "cancelled", "the line was needed"),
        ("ben", "cancelled", "the line was needed"),
    ]
    assert len(answer(capsys, "decisions", "--by", "anna")) == 1
    assert answer(capsys, "decisions", "--since", "1d") == []


def test_what_went_wrong_in_the_last_week(month: Month, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "runs", "--wrong", "--since", "7d")
    assert [(one["source"], one["status"]) for one in found if one["source"] != "database"] == [
        ("photos", "partial")
    ]
    assert sum(one["status"] == "failed" for one in found) == 7
    assert "dumps does not exist" in told(capsys, "runs", "--wrong", "--since", "7d")

"""`holdfast runs` and `holdfast run` on a journal, the one in the state directory and the one of a server."""

import json
import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from holdfast.errors import UsageError
from holdfast.file_list import FileAction, FileRecord
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord
from holdfast.starter.main import main
from holdfast.starter.shell.moments import parse_moment
from holdfast.terms import RunKind, RunStatus
from tests.support.postgres import PASSWORD, Cluster

HOUR_NS: Final = 3_600_000_000_000
NOW_NS: Final = 1_800_000_000_000_000_000
RUN = RunRecord(
    run_id="backup:mars:home:documents/aaaa0001",
    kind=RunKind.BACKUP,
    status=RunStatus.PARTIAL,
    repository="home",
    source="documents",
    host="mars",
    strategy="full",
    snapshot_id="ab" * 32,
    started_ns=NOW_NS,
    ended_ns=NOW_NS + HOUR_NS,
    counters={"bytes_total": 5 << 20, "data_added": 1 << 20, "errors": 1},
)
FILES = [
    FileRecord(path=b"/d/new", action=FileAction.NEW, size_bytes=2048),
    FileRecord(path=b"/d/\xff\n", action=FileAction.UNREADABLE, message="permission denied"),
]
SETTINGS: Final = """
state_dir = "{folder}/state"
[repositories.home]
location = "{folder}/repository"
[sources.documents]
repository = "home"
paths = ["{folder}"]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings whose journal holds three runs."""
    for name in [name for name in os.environ if name.startswith(("RESTIC_", "HOLDFAST_"))]:
        monkeypatch.delenv(name)
    file = tmp_path / "holdfast.toml"
    file.write_text(SETTINGS.format(folder=tmp_path))
    monkeypatch.setenv("HOLDFAST_CONFIG", str(file))
    fill(Journal.at(tmp_path / "state" / "journal.db"))
    return file


def fill(journal: Journal) -> None:
    journal.record(RUN)
    journal.add_files(RUN.run_id, FILES)
    journal.record(
        replace(RUN, run_id="x/bbbb0001", source="etc", status=RunStatus.FAILED, started_ns=NOW_NS + HOUR_NS)
    )
    journal.record(replace(RUN, run_id="y/cccc0002", kind=RunKind.RESTORE, started_ns=NOW_NS + 2 * HOUR_NS))


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def ids(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    return [run["short_id"] for run in json.loads(told(capsys, "runs", "--json", *arguments))]


def test_runs_are_chosen(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ids(capsys) == ["cccc0002", "bbbb0001", "aaaa0001"]
    assert ids(capsys, "--limit", "1") == ["cccc0002"]
    assert ids(capsys, "--source", "documents", "--kind", "backup") == ["aaaa0001"]
    assert ids(capsys, "--status", "failed", "--status", "partial", "--repo", "home") == [
        "cccc0002",
        "bbbb0001",
        "aaaa0001",
    ]
    assert ids(capsys, "--repo", f"{config.parent}/repository") == ["cccc0002", "bbbb0001", "aaaa0001"]
    assert ids(capsys, "--repo", "/elsewhere") == []
    moment = "2027-01-15T09:00:00+00:00"  # an hour after the first run
    assert ids(capsys, "--since", moment) == ["cccc0002", "bbbb0001"]
    assert ids(capsys, "--until", moment) == ["aaaa0001"]
    assert "3 runs" in told(capsys, "runs")


@pytest.mark.parametrize("wrong", [("--kind", "backups"), ("--status", "done"), ("--since", "last year")])
def test_a_wrong_choice_is_told(
    config: Path, capsys: pytest.CaptureFixture[str], wrong: tuple[str, str]
) -> None:
    assert main(["runs", *wrong]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"Error: {wrong[0]}: ")
    assert error.count("\n") == 2


def test_a_run_is_shown_by_its_source_and_by_the_end_of_its_id(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = told(capsys, "run", "show", "aaaa0001")
    assert "5,242,880 (5.0 MiB)" in shown
    assert r"unreadable: /d/\xff\n: permission denied" in shown
    assert json.loads(told(capsys, "run", "show", "etc", "--json"))["short_id"] == "bbbb0001"
    assert main(["run", "show", "0001"]) == 1
    assert "several runs" in capsys.readouterr().err
    assert main(["run", "show", "nothing"]) == 1


def test_files_are_listed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "run", "files", "aaaa0001").splitlines() == [
        "new           2.0 KiB  /d/new",
        r"unreadable        0 B  /d/\xff\n: permission denied",
    ]
    (line,) = told(capsys, "run", "files", "aaaa0001", "--action", "unreadable", "--json").splitlines()
    assert json.loads(line)["path_hex"] == "2f642fff0a"
    assert main(["run", "files", "aaaa0001", "--action", "newer"]) == 1


def test_a_report_is_written_for_its_owner(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    told(capsys, "run", "report", "--source", "documents", "-o", str(page))
    assert "Backup of documents" in page.read_text()
    assert page.stat().st_mode & 0o777 == 0o600
    assert main(["run", "report"]) == 1


def test_a_server_keeps_the_journal_where_the_settings_say_so(
    config: Path, capsys: pytest.CaptureFixture[str], postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_database("of_settings")
    fill(Journal(url, password=PASSWORD.encode))
    secret = config.parent / "secret"
    secret.write_text(f"{PASSWORD}\n")
    before = config.read_text()
    config.write_text(f'{before}[journal]\nurl = "{url}"\npassword_file = "{secret}"\n')
    assert ids(capsys, "--source", "etc") == ["bbbb0001"]
    config.write_text(f'{before}[journal]\nurl = "{url}"\npassword_env = "KEEPER"\n')
    monkeypatch.setenv("KEEPER", PASSWORD)
    assert ids(capsys, "--source", "etc") == ["bbbb0001"]
    monkeypatch.delenv("KEEPER")
    assert main(["runs"]) == 1
    assert "KEEPER" in capsys.readouterr().err


def test_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_moment("36h", option="--since", now_ns=NOW_NS) == NOW_NS - 36 * HOUR_NS
    assert parse_moment("2027-01-15T08:00:00Z", option="--since", now_ns=0) == NOW_NS
    today = datetime.fromtimestamp(NOW_NS // 10**9).replace(hour=0, minute=0, second=0)  # noqa: DTZ006 - local
    days = {"today": 0, "yesterday": 1, f"{today:%A}": 0, f"{today - timedelta(days=6):%A}".lower(): 6}
    for word, ago in days.items():
        expected = round((today - timedelta(days=ago)).timestamp()) * 10**9
        assert parse_moment(word, option="--since", now_ns=NOW_NS) == expected
    with pytest.raises(UsageError, match="--until"):
        parse_moment("soon", option="--until", now_ns=0)

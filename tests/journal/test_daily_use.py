"""What an operator asks each day, on a month of backups (tests/support/month.py): one command each."""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from holdfast.starter.main import main
from tests.support.month import Month


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

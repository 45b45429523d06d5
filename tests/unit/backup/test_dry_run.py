"""A dry run says what the backup then does, and leaves the repository as it is."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from holdfast.backup.dry_run import DryResult, DryRun, dry_repository
from holdfast.file_list import FileAction
from holdfast.repository.session import RepositorySession
from holdfast.starter.main import main
from tests.support.engine import PASSWORD, SMALL, SMALL_PACK_BYTES, EngineRun, nothing, open_session
from tests.support.engine import make_repository as new_repository


def stored(path: Path) -> Mapping[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in path.rglob("*")}


def dry(repository: Path, source: Path) -> tuple[DryResult, dict[bytes, FileAction]]:
    with open_session(repository, small=True) as session:
        above = RepositorySession(
            dry_repository(session.repository), sizes=SMALL, pack_size_bytes=SMALL_PACK_BYTES
        )
        run = DryRun(above, EngineRun.of(session, source).order, nothing)
        result = run.run()
        files = {os.path.basename(file.path): file.action for file in run.files()}
        above.close()
        return result, files


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    for number in range(12):
        (folder / "sub" / str(number)).write_bytes(Random(number).randbytes(40_000))
    (folder / "large").write_bytes(Random(99).randbytes(2_500_000))
    return folder


def test_it_says_what_the_backup_does(tmp_path: Path, source: Path) -> None:
    repository = tmp_path / "repository"
    new_repository(repository)
    _, files = _held_against_the_backup(repository, source, "first")
    assert len(files) == 13
    (source / "sub" / "0").write_bytes(b"changed")
    (source / "new").write_bytes(b"new")
    said, files = _held_against_the_backup(repository, source, "second")
    assert files == {b"0": FileAction.CHANGED, b"new": FileAction.NEW}
    assert said.opening.parent
    assert (said.selected.files_new, said.selected.files_changed, said.selected.files_unmodified) == (
        1,
        1,
        12,
    )
    assert said.stored.data_added == len(b"changed") + len(b"new")


def _held_against_the_backup(
    repository: Path, source: Path, run_id: str
) -> tuple[DryResult, dict[bytes, FileAction]]:
    before = stored(repository)
    said, files = dry(repository, source)
    assert stored(repository) == before
    with open_session(repository, small=True) as session:
        done = EngineRun.of(session, source, run_id=run_id).run()
    assert said.result.totals == done.totals
    return said, files


def test_the_command_speaks_restics_words(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new_repository(tmp_path / "repository")
    (tmp_path / "password").write_bytes(PASSWORD)
    monkeypatch.setenv("HOLDFAST_CONFIG", "")
    monkeypatch.setenv("HOLDFAST_STATE_DIR", str(tmp_path / "state"))
    of = ["-r", str(tmp_path / "repository"), "-p", str(tmp_path / "password")]
    assert main(["backup", *of, "--dry-run", "--json", "-v", str(source)]) == 0
    *lines, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert summary["dry_run"] is True
    assert "snapshot_id" not in summary
    assert (summary["files_new"], summary["total_files_processed"]) == (13, 13)
    assert summary["data_added"] > 2_900_000
    listed = [line for line in lines if line["message_type"] == "verbose_status"]
    assert {line["action"] for line in listed} == {"new"}
    assert len(listed) == 13
    assert main(["backup", *of, "-n", str(source)]) == 0
    assert "Would be added to the repository" in capsys.readouterr().out
    assert not (tmp_path / "state").exists()

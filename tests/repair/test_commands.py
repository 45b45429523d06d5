"""`holdfast repair` from a command line: what it says, and how it ends."""

import json
import os
import sys
from pathlib import Path

from tests.support import fork_server
from tests.support.comparison import plant, restic
from tests.support.counting import PROJECT
from tests.support.engine import PASSWORD, EngineRun, new_session


def test_a_repair_is_told_of_and_ends_by_what_is_left(tmp_path: Path) -> None:
    source, path = tmp_path / "source", tmp_path / "repository"
    source.mkdir()
    plant(source, files=6)
    with new_session(path) as session:
        EngineRun.of(session, source).run()
    for index in (path / "index").iterdir():
        index.unlink()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HOLDFAST_STATE_DIR": str(tmp_path / "state"),
        "RESTIC_REPOSITORY": str(path),
        "RESTIC_PASSWORD": PASSWORD.decode(),
    }

    def holdfast(*words: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "holdfast.starter", *words]
        ended = fork_server.run(
            command, capture_output=True, text=True, env=environment, cwd=PROJECT, timeout=180
        )
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    pack = max((path / "data").glob("*/*"), key=lambda file: file.stat().st_size)
    pack.unlink()
    said = holdfast("repair", "index")
    assert "written into the index by" in said
    said = holdfast("repair", "snapshots", "--forget")
    assert f"{source}/canary-large" in said
    assert "1 snapshot was stored again" in said
    listed = json.loads(holdfast("runs", "--json").splitlines()[0])
    assert {(run["kind"], run["subject"]) for run in listed} == {("repair", str(path))}
    assert "not the id of a pack" in holdfast("repair", "packs", "abc", code=1)
    assert "no errors were found" in restic(path, PASSWORD, "check", "--read-data")

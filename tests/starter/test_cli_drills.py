"""`verify`, `drill` and `drills` as commands: their words, their JSON, their exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.support import fork_server
from tests.support.engine import make_repository

PROJECT = Path(__file__).parent.parent.parent
PASSWORD = "canary-password"


class Place:
    """A folder with settings, a repository, and two sources; commands share one service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("docs", "other"):
            (folder / name).mkdir()
            (folder / name / "file").write_bytes(Random(name).randbytes(50_000))
        (folder / "password").write_text(PASSWORD)
        (folder / "holdfast.toml").write_text(
            f'host = "h"\nstate_dir = "{folder}/state"\n[worker]\nprocesses = 1\ngraceful_shutdown = "1s"\n'
            f'[repositories.main]\nlocation = "{folder}/repository"\npassword_file = "{folder}/password"\n'
            f'[sources.letters]\nrepository = "main"\npaths = ["{folder}/docs"]\n'
            f'[sources.other]\nrepository = "main"\npaths = ["{folder}/other"]\n'
            f'[drills.nightly]\nsource = "letters"\ncheck = "test -s .{folder}/docs/file"\nrpo = "1d"\n'
        )

    def run(self, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "PYTHONPATH": str(PROJECT),
            "HOLDFAST_CONFIG": str(self.folder / "holdfast.toml"),
        }
        command = [sys.executable, "-m", "holdfast.starter", *arguments]
        done = fork_server.run(command, capture_output=True, text=True, env=environ)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def flip(self) -> None:
        """One bit in the middle of the largest pack."""
        packs = [path for path in (self.folder / "repository" / "data").rglob("*") if path.is_file()]
        pack = max(packs, key=lambda path: path.stat().st_size)
        pack.chmod(0o600)
        content = bytearray(pack.read_bytes())
        content[len(content) // 2] ^= 1
        pack.write_bytes(content)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_damage_is_told_proof_is_kept_and_what_was_never_proven_is_named(place: Place) -> None:
    make_repository(place.folder / "repository", PASSWORD.encode())
    place.run("backup", "letters")
    drilled = json.loads(place.run("drill", "nightly", "--json").stdout.splitlines()[-1])
    assert (drilled["proven"], drilled["rpo_met"], drilled["check_exit_code"]) == (True, True, 0)
    place.flip()
    found = place.run("verify", "--read-data", code=1)
    assert f"{place.folder}/docs/file" in found.stderr
    assert "--strategy full" in found.stdout
    listed = json.loads(place.run("drills", "--json").stdout)
    assert listed["never_proven"] == ["other"]
    assert [drill["outcome"] for drill in listed["drills"]] == ["proven"]
    shown = place.run("drills")
    assert "nightly" in shown.stdout
    assert "other: NEVER proven" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["drill", "nightl"], "nightly"),
        (["drill", "nightly", "--sample", "5%"], "--sample"),
        (["drill", "letters", "--sample", "0%"], "sample"),
        (["verify", "--read-data-subset", "8/7"], "share"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(place: Place, arguments: list[str], words: str) -> None:
    assert words in place.run(*arguments, code=1).stderr

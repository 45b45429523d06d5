"""A real backup by the command line whose workers keep the journal on PostgreSQL, log as JSON and ping a watcher."""

import json
import os
import subprocess
import sys
from pathlib import Path

from holdfast.file_list import FileAction
from holdfast.service.journal.journal import Journal
from holdfast.terms import RunKind, RunStatus
from tests.support.engine import make_repository
from tests.support.postgres import PASSWORD, Cluster
from tests.support.receiver import receiving

PROJECT = Path(__file__).parents[2]


def test_workers_write_the_journal_that_the_settings_name(tmp_path: Path, postgres: Cluster) -> None:
    """The password comes from a variable of the command's, which no child of it has in its environment."""
    url = postgres.new_database("of_workers")
    source = tmp_path / "documents"
    source.mkdir()
    (source / "letter").write_bytes(b"dear reader")
    (tmp_path / "password").write_text("test")
    settings = tmp_path / "holdfast.toml"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RESTIC_")}
    environ |= {"KEEPER": PASSWORD, "HOLDFAST_CONFIG": str(settings)}

    def holdfast(*arguments: str) -> str:
        command = [sys.executable, "-m", "holdfast.starter", *arguments]
        return subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, cwd=PROJECT, env=environ
        ).stdout

    with receiving() as receiver:
        settings.write_text(
            f"""
            state_dir = "{tmp_path}/state"
            [repositories.home]
            location = "{tmp_path}/repository"
            password_file = "{tmp_path}/password"
            [sources.papers]
            repository = "home"
            paths = ["{source}"]
            ping_url = "{receiver.ping_url}"
            [worker]
            processes = 1
            [journal]
            url = "{url}"
            password_env = "KEEPER"
            [log]
            format = "json"
            file = "{tmp_path}/log"
            level = "info"
            """
        )
        make_repository(tmp_path / "repository", b"test")
        holdfast("backup", "papers", "--quiet")
        assert receiver.pings == ["/ping"]
    journal = Journal(url, password=PASSWORD.encode)
    (run,) = journal.runs()
    assert (run.kind, run.status, run.source) == (RunKind.BACKUP, RunStatus.COMPLETE, "papers")
    assert run.verdict is not None
    assert {file.path: file.action for file in journal.files(run.run_id)}[bytes(source / "letter")] is (
        FileAction.NEW
    )
    assert not (tmp_path / "state" / "journal.db").exists()
    (listed,) = json.loads(holdfast("runs", "--json"))
    assert listed["run_id"] == run.run_id
    log = (tmp_path / "log").read_text()
    assert all("time" in json.loads(line) for line in log.splitlines())
    assert PASSWORD not in log

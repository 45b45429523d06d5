"""The control plane serves a program that is no command line: nothing of the starter is loaded, nothing is printed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.hosts import PROJECT, Hosts

SIZE_BYTES: Final = 48 << 20


def test_nothing_reads_what_belongs_to_the_process() -> None:
    """Whose environment, name or terminal would it be, where a console serves several people?"""
    of_the_process = re.compile(
        r"\b(os\.environ|getpass|print\(|input\(|sys\.(stdout|stderr|stdin|argv)|os\.getcwd|Path\.cwd)"
    )
    found = [
        path.name for path in (PROJECT / "control").rglob("*.py") if of_the_process.search(path.read_text())
    ]
    assert found == []


def test_a_program_starts_lists_steers_and_reads_a_run(tmp_path: Path, server_address: str) -> None:
    host = Hosts(folder=tmp_path, address=server_address).one
    (host.folder / "docs").mkdir()
    (host.folder / "docs" / "large").write_bytes(os.urandom(SIZE_BYTES))
    host.settings = f'[sources.docs]\nrepository = "home"\npaths = ["{host.folder}/docs"]\n'
    host.write()
    with host.serving():
        done = subprocess.run(
            [sys.executable, Path(__file__).parent / "console.py", host.config],
            cwd=PROJECT,
            env=host.environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    seen = json.loads(line)
    assert seen["of_the_starter"] == []
    assert seen["begun"] == [False, True]
    assert (seen["paused"], seen["pause_reason"], seen["ended"]) == ("paused", "lunch", "complete")
    record = seen["record"]
    assert (record["kind"], record["status"], record["subject"]) == ("backup", "complete", "docs")
    assert record["trigger"]["by"] == "console"
    assert record["counters"]["bytes_total"] == SIZE_BYTES

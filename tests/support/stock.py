"""Stock restic at any place. It must succeed."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.engine import PASSWORD


class Restic:
    """The program, for one location."""

    def __init__(self, location: str, environ: Mapping[str, str]) -> None:
        self._command = ["restic", "--no-cache", "-r", location]
        self._environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": "/nonexistent",
            **environ,
            "RESTIC_PASSWORD": os.fsdecode(PASSWORD),
        }

    def __call__(self, *arguments: str | Path) -> str:
        """What it prints."""
        command = [*self._command, *map(str, arguments)]
        ended = subprocess.run(command, check=False, capture_output=True, env=self._environ, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def assert_sound(self, *, snapshots: int) -> None:
        """This many snapshots, and it reads everything without finding an error."""
        assert len(json.loads(self("snapshots", "--json", "--no-lock"))) == snapshots
        assert "no errors were found" in self("check", "--read-data", "--no-lock")

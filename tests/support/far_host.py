"""Commands of a host whose repository lies at a distance."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Final

from tests.support import fork_server

PROJECT: Final = Path(__file__).parents[2]
PASSWORD: Final = "correct horse"
PATIENCE_S: Final = 150.0


class FarHost:
    """A host whose repository is elsewhere: a folder with a source and a state directory; commands get location and
    credentials from variables."""

    def __init__(self, folder: Path, location: str, environ: Mapping[str, str]) -> None:
        self.folder, self.source, self.location = folder, folder / "source", location
        self._credentials = [name for name in environ if name.startswith(("AWS_", "RESTIC_REST_"))]
        self.environ = {
            "HOME": str(folder),
            "PYTHONPATH": str(PROJECT),
            "HOLDFAST_STATE_DIR": str(folder / "state"),
            "RESTIC_REPOSITORY": location,
            "RESTIC_PASSWORD": PASSWORD,
            **environ,
            "PATH": os.pathsep.join(
                (str(Path(sys.executable).parent), environ.get("PATH", os.environ["PATH"]))
            ),
        }
        self.source.mkdir()
        random = Random(5)
        for number in range(40):
            (self.source / f"file-{number}").write_bytes(random.randbytes(number * 500))
        (self.source / "large").write_bytes(random.randbytes(24 << 20))

    def start(self, *arguments: str | Path, **more: str) -> "subprocess.Popen[str]":
        return fork_server.Popen(
            [sys.executable, "-m", "holdfast.starter", *map(str, arguments)],
            env={**self.environ, **more},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str | Path, code: int = 0, **more: str) -> str:
        with self.start(*arguments, **more) as process:
            printed, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, printed
        return printed

    @contextmanager
    def serving(self, settings: str) -> Iterator["subprocess.Popen[str]"]:
        """`holdfast up` with these settings, without restic's variables."""
        (self.folder / "holdfast.toml").write_text(settings)
        for name in ("RESTIC_REPOSITORY", "RESTIC_PASSWORD", *self._credentials):
            self.environ.pop(name, None)
        self.environ["HOLDFAST_CONFIG"] = str(self.folder / "holdfast.toml")
        with self.start("up") as process:
            try:
                assert process.stdout is not None
                assert any("Web UI" in line for line in process.stdout)
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=PATIENCE_S)

    def assert_nowhere(self, secret: str) -> None:
        """Neither in the server's database, nor in logs or requests."""
        for path in self.folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert secret.encode() not in path.read_bytes(), path

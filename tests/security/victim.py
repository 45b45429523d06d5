"""A user's `holdfast up` with settings worth attacking, and another user of the same host."""

import contextlib
import functools
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from tests.support.engine import make_repository

OWN: Final = Path(__file__).parent.parent.parent
PROJECT: Final = Path(os.environ.get("HOLDFAST_ATTACKED", OWN))
"""What is attacked; another checkout with a .venv of its own shows what an attack did before."""
ATTACKER: Final = Path(__file__).parent / "attacker.py"
PASSWORD: Final = "canary-password-victim"
_START_S: Final = 120.0
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody, by number."""

    uid: int

    def command(self, *arguments: str) -> list[str]:
        """To run it as that user, without groups."""
        if self.uid == os.geteuid():
            return list(arguments)
        # The shell is there because setpriv itself still searches with root's rights.
        own = [f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--"]
        return ["setpriv", *own, "sh", "-c", 'exec "$0" "$@"', *arguments]

    @functools.cache  # noqa: B019 - two users, for as long as the tests
    def python(self, checkout: Path) -> str:
        """An interpreter that this user may run: the checkout's, or the system's of the same version.

        Raises:
            LookupError: there is none, or the checkout is closed to that user.
        """
        for found in (
            checkout / ".venv" / "bin" / "python",
            Path(f"/usr/bin/python3.{sys.version_info.minor}"),
        ):
            done = subprocess.run(
                self.command(str(found), "-c", f"import temporalio; open({str(ATTACKER)!r})"),
                env=self.environment(checkout),
                capture_output=True,
                check=False,
            )
            if done.returncode == 0:
                return str(found)
        raise LookupError(f"user {self.uid} can run no interpreter for {checkout}")

    def environment(self, checkout: Path) -> dict[str, str]:
        """Where that interpreter finds everything."""
        beside = checkout / ".venv"
        libraries = beside / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        return {"PATH": f"{beside}/bin:{os.environ['PATH']}", "PYTHONPATH": f"{checkout}:{libraries}"}


@dataclass(kw_only=True)
class Victim:
    """One user's installation below a folder, with a service that is up while `serving`.

    Hooks, checks and restore commands leave a canary when they run.
    """

    folder: Path
    user: User
    address: str = field(default="", init=False)

    def __post_init__(self) -> None:
        for name in ("home", "state", "src", "mallory", "rooted", "canaries"):
            (self.folder / name).mkdir()
        (self.folder / "rooted").chmod(0o700)
        (self.folder / "src" / "file").write_text("first")
        (self.folder / "mallory" / "evil").write_text("content of mallory's own")
        (self.folder / "password").write_text(PASSWORD)
        (self.folder / "password").chmod(0o600)
        self.config.write_text(self._settings())
        make_repository(self.folder / "repository", PASSWORD.encode())
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, self.user.uid, self.user.uid)
        self.folder.chmod(0o755)

    @property
    def config(self) -> Path:
        return self.folder / "holdfast.toml"

    @property
    def queue(self) -> str:
        return f"holdfast.{self.host}"

    @property
    def host(self) -> str:
        return f"victim-{self.user.uid}"

    @property
    def canaries(self) -> list[str]:
        """What ran that should not have."""
        return sorted(path.name for path in (self.folder / "canaries").iterdir())

    @property
    def runs(self) -> Path:
        """Workspaces of runs."""
        return self.folder / "repository" / "holdfast" / "runs"

    def holdfast(self, *arguments: str, code: int | None = 0) -> "subprocess.CompletedProcess[str]":
        """A command of the victim's own."""
        done = subprocess.run(
            self.user.command(self.user.python(PROJECT), "-m", "holdfast.starter", *arguments),
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert code is None or done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """`holdfast up`, until the block ends."""
        log = self.folder / "up.log"
        with log.open("ab") as stream:
            process = subprocess.Popen(
                self.user.command(self.user.python(PROJECT), "-m", "holdfast.starter", "up"),
                env=self.environment,
                cwd=self.folder,
                stdout=stream,
                stderr=stream,
            )
        try:
            limit = time.monotonic() + _START_S
            while True:
                told = re.search(r"server (127\.0\.0\.1:\d+)", log.read_text())
                if told:
                    break
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < limit, log.read_text()
                time.sleep(0.1)
            self.address = told[1]
            yield
        finally:
            process.terminate()
            try:
                process.wait(60)
            finally:
                process.kill()
                process.wait()

    def listening(self) -> list[str]:
        """Where the server of the service listens."""
        return [
            f"{found.laddr.ip}:{found.laddr.port}"
            for process in psutil.process_iter(["cmdline"])
            if str(self.folder) in " ".join(process.info["cmdline"] or ())
            for found in process.net_connections("inet")
            if found.status == psutil.CONN_LISTEN
        ]

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            **self.user.environment(PROJECT),
            "HOME": str(self.folder / "home"),
            "USER": f"user-{self.user.uid}",
            "HOLDFAST_CONFIG": str(self.config),
            "HOLDFAST_STATE_DIR": str(self.folder / "state"),
        }

    def _settings(self) -> str:
        canary = f"{self.folder}/canaries"
        return f"""
host = "{self.host}"
[worker]
processes = 1
heartbeat_timeout = "5s"
heartbeat_throttle = "1s"
[repositories.home]
location = "{self.folder}/repository"
password_file = "{self.folder}/password"
[sources.docs]
repository = "home"
paths = ["{self.folder}/src", "{self.folder}/mallory"]
[sources.slow]
repository = "home"
command = ["sh", "-c", "while [ ! -e {self.folder}/go ]; do sleep 0.2; done; echo data"]
file = "dump"
restore_command = ["sh", "-c", "cat > {canary}/restore_command"]
[sources.lasting]
repository = "home"
command = ["sleep", "600"]
file = "dump"
[hooks.canary]
command = ["touch", "{canary}/hook"]
[drills.docs]
source = "docs"
sample = "all"
check = "touch {canary}/check"
"""


@dataclass(kw_only=True)
class Attacker:
    """Another user, and a victim. One process of that user's tries one thing after the other."""

    user: User
    victim: Victim
    _process: "subprocess.Popen[str] | None" = None

    def does(self, attack: str, **parameters: object) -> str:
        """What an attack was answered (tests/security/attacker.py)."""
        if self._process is None:
            self._process = self._started()
        answer: Any = json.loads(_asked(self._process, attack, parameters))
        _LOG.info("%s: %s", attack, answer)
        return str(answer)

    @contextlib.contextmanager
    def doing(self, attack: str, **parameters: object) -> Iterator[None]:
        """An attack that lasts as long as the block."""
        process = self._started()
        try:
            assert _asked(process, attack, parameters) == "polling\n"
            yield
        finally:
            _end(process)

    def temporal(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The stock `temporal` command."""
        binary = OWN / ".venv" / "bin" / "temporal"
        done = subprocess.run(
            self.user.command(str(binary), *arguments, "--address", self.victim.address),
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        _LOG.info("temporal: %s %s", done.stdout, done.stderr)
        return done

    def close(self) -> None:
        """No more of it."""
        if self._process is not None:
            _end(self._process)

    def _started(self) -> "subprocess.Popen[str]":
        where = (self.victim.address, self.victim.queue)
        return subprocess.Popen(
            self.user.command(self.user.python(OWN), str(ATTACKER), *where),
            env=self.user.environment(OWN),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )


def _end(process: "subprocess.Popen[str]") -> None:
    with process:  # closes its pipes
        process.kill()


def _asked(process: "subprocess.Popen[str]", attack: str, parameters: Mapping[str, object]) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([attack, parameters]) + "\n")
    process.stdin.flush()
    return process.stdout.readline()

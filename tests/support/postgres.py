"""A real PostgreSQL for tests: a private cluster of Debian's package, on a unix socket, with a password on its role.

The server refuses to run as root, so root's tests run it as `postgres`, the user that the package makes.
"""

import contextlib
import errno
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import found

PASSWORD = "canary-postgres-password"
_ROLE = "keeper"
_DATABASE = "postgres"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running server. Its sockets lie in `folder`."""

    folder: Path
    programs: Path

    def url(self, database: str = _DATABASE) -> str:
        """As the settings have it: without the password."""
        return f"postgresql://{_ROLE}@/{database}?host={self.folder}"

    def new_database(self, name: str) -> str:
        """Make one; its URL."""
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, database: str = _DATABASE) -> str:
        """Run a statement as an administrator would; what psql prints."""
        command = [str(self.programs / "psql"), "-h", str(self.folder), "-U", _ROLE, "-d", database]
        answer = subprocess.run(
            [*command, "-At", "-v", "ON_ERROR_STOP=1", "-c", statement],
            env={"PGPASSWORD": PASSWORD, "PATH": os.defpath},
            check=True,
            capture_output=True,
            text=True,
        )
        return answer.stdout.strip()


@contextlib.contextmanager
def running_postgres() -> Iterator[Cluster]:
    """Make a cluster, start its server, and remove both at the end."""
    programs = _programs()
    # Not below pytest's folder: that is root's alone, and its name may be too long for a socket's.
    with tempfile.TemporaryDirectory(prefix="holdfast-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        secret, data = folder / "password", folder / "data"
        secret.write_text(PASSWORD)
        user = _unprivileged(folder, secret)

        def run(*arguments: str) -> None:
            subprocess.run(
                arguments,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=folder,
                user=user,
            )

        run(
            *(str(programs / "initdb"), "-D", str(data), "-U", _ROLE, "--pwfile", str(secret)),
            *("-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"),
        )
        control = (str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"))
        run(*control, "-o", f"-c listen_addresses= -c fsync=off -k {folder}", "start")
        try:
            yield Cluster(folder=folder, programs=programs)
        finally:
            run(*control, "-m", "immediate", "stop")


def _programs() -> Path:
    """The newest version's folder; PATH has none of initdb and pg_ctl on Debian."""
    initdb = found("initdb")
    if initdb is None:
        raise FileNotFoundError(errno.ENOENT, "PostgreSQL's server is not installed", "initdb")
    return Path(initdb).parent


def _unprivileged(*paths: Path) -> int | None:
    """The user to run the server as, who gets the paths; None for the one that runs the tests."""
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam("postgres")
    for path in paths:
        os.chown(path, user.pw_uid, user.pw_gid)
    return user.pw_uid

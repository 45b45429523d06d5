"""What the Temporal server's database holds of a real backup and restore: what encryption hides, and what it cannot.

Each word is looked for in the raw files, the write-ahead log included, and in every value of every table, where no
page boundary can split it. The same runs without encryption show that the search finds what is there.
"""

import os
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import SnapshotNotFoundError
from holdfast.repository.repository import Repository
from holdfast.storage.local import LocalStorage
from holdfast.transport.keyring import new_key_line
from tests.support import fork_server

PROJECT: Final = Path(__file__).parents[2]
PASSWORD: Final = b"canary-password"
TAG: Final = b"canary-tag"
FILE: Final = b"canary-file"
SNAPSHOT: Final = b"facade00"
ERROR: Final = b"no snapshot"
SOURCE: Final = b"canary-source"
REPOSITORY: Final = b"canary-repository"
HOST: Final = b"canary-host"
SUMMARY: Final = b"backup of "
FIELDS: Final = b'"verify"'

NEVER: Final = {PASSWORD, FILE, TAG}
"""Words that nobody hands to Temporal, encrypted or not."""
SEALED: Final = {SNAPSHOT, ERROR, SUMMARY, FIELDS}
"""Words of arguments, results, messages of errors, and summaries."""
CLEAR: Final = {SOURCE, REPOSITORY, HOST, SnapshotNotFoundError.__name__.encode()}
"""Words of ids, task queues, search attributes and types: the server works with these, no codec sees them."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A host with one source, whose commands run the embedded server."""

    folder: Path

    def prepare(self, encryption: str) -> None:
        (self.folder / "source").mkdir()
        (self.folder / "source" / os.fsdecode(FILE)).write_text("content")
        Repository.init(LocalStorage(self.folder / "repository"), PASSWORD, kdf=ScryptParameters.for_tests())
        (self.folder / "password").write_bytes(PASSWORD)
        (self.folder / "keys").write_text(new_key_line())
        (self.folder / "holdfast.toml").write_text(
            f'host = "{HOST.decode()}"\nstate_dir = "state"\n'
            f'[repositories.{REPOSITORY.decode()}]\nlocation = "repository"\npassword_file = "password"\n'
            f'[sources.{SOURCE.decode()}]\nrepository = "{REPOSITORY.decode()}"\npaths = ["source"]\n'
            f'tags = ["{TAG.decode()}"]\n'
            f'[worker]\nprocesses = 1\ngraceful_shutdown = "1s"\n{encryption}'
        )

    def run(self, *arguments: str) -> int:
        done = fork_server.run(
            [
                sys.executable,
                "-m",
                "holdfast.starter",
                "--config",
                str(self.folder / "holdfast.toml"),
                *arguments,
            ],
            cwd=self.folder,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(self.folder),
                "PYTHONPATH": str(PROJECT),
            },
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in done.stderr
        return done.returncode

    def found(self, words: set[bytes]) -> set[bytes]:
        """Those of `words` that the server's database holds."""
        stored = b"".join(path.read_bytes() for path in sorted((self.folder / "state").glob("temporal.db*")))
        values = b"\n".join(self._values())
        return {word for word in words if word in stored or word in values}

    def _values(self) -> list[bytes]:
        with sqlite3.connect(self.folder / "state" / "temporal.db") as database:
            names = [
                name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            ]
            rows = [row for name in names for row in database.execute(f'SELECT * FROM "{name}"')]  # noqa: S608
        database.close()
        return [value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row]


@pytest.mark.parametrize("encryption", ["", '[encryption]\nkey_file = "keys"\n'], ids=["clear", "encrypted"])
def test_encryption_hides_what_is_sent_and_not_what_the_server_works_with(
    encryption: str, tmp_path: Path
) -> None:
    site = Site(folder=tmp_path)
    site.prepare(encryption)
    restore = ("restore", "-r", REPOSITORY.decode(), "--target", str(tmp_path / "target"))
    assert site.run("backup", SOURCE.decode()) == 0
    assert site.run(*restore, SNAPSHOT.decode()) != 0
    assert site.run(*restore, "latest") == 0
    assert list((tmp_path / "target").rglob(os.fsdecode(FILE)))

    assert site.found(NEVER) == set()
    assert site.found(SEALED) == (set() if encryption else SEALED)
    assert site.found(CLEAR) == CLEAR

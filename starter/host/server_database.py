"""The embedded server's database is looked at before each start, and set aside when no server can go on with it.

The server makes its schema only in a file that is new, and names its namespaces after that. So a file without one
is what a killed start left, or what lost its WAL: no server ever starts on it again.

    1. the owner looks at the file, while it holds the lock and no server runs;
    2. one that is unfinished or damaged is renamed, with -wal and -shm, which belong to it and to no other one;
    3. one that is whole gets the number of this start (a new one has none before its second: that was the first); the
       note gets it after that. A file with a lower number than
       the note's is an older one: it was put back, or its WAL was lost. It is used, with a word, and the journal
       knows better which of its runs are over (reconciliation.py).

A crash between the two numbers leaves the file's higher, which means nothing.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from holdfast.errors import ServerUnavailableError, StorageDeniedError, StorageFullError
from holdfast.units import NS_PER_S

KEPT_ASIDE: Final = 5
_ASIDE: Final = "aside"
_UNFINISHED: Final = "unfinished"
_KEPT_UNFINISHED: Final = 1
"""Nobody was ever told of anything that is in these."""
_BESIDE: Final = ("-wal", "-shm", "-journal")
_LOCK_PATIENCE_S: Final = 5.0
_DAMAGED: Final = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT))
_LOCKED: Final = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))
_PRIMARY_CODE: Final = 0xFF
_MAKE_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS holdfast_starts"
    " (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL)"
)
_CHECKED_BYTES: Final = 32 << 20
"""Up to this size the structure is checked before each start: 20 ms. A larger one when the server complains of it."""
_COMPLAINTS: Final = (b"database disk image is malformed (11)", b"file is not a database (26)")
_LOG_BLOCK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How the database was found. number: of the start that comes now. is_new: there is none.

    unusable: why no server can go on with it, else empty. unfinished: it was never whole. behind: how it is not as new
    as this state directory knows it, else empty.
    """

    number: int = 1
    is_new: bool = False
    unusable: str = ""
    unfinished: bool = False
    behind: str = ""


def lost_its_tail(path: Path) -> bool:
    """Whether the file lacks its WAL. A server that has answered leaves one, because it is ended with SIGKILL."""
    wal = path.with_name(path.name + "-wal")
    return path.exists() and not (wal.exists() and wal.stat().st_size)


def examine(path: Path, last_start: int, *, thorough: bool = False) -> Condition:
    """Look at the file before a start, and give it the start's number.

    last_start: as the note has it, or 0. thorough: check the structure of a large one, too.

    Raises:
        ServerUnavailableError: another program has it locked.
        StorageFullError, StorageDeniedError: it cannot be written, or is a link to nothing.
    """
    if not path.exists() and not path.is_symlink():
        set_aside(path)  # what lies beside a file that is gone: a new one must not take it for its own
        return Condition(is_new=True, behind="is gone, and a new one is begun" if last_start else "")
    if not path.exists():
        raise StorageDeniedError(
            f"the server's database {path} is a link to {path.readlink()}, and there is nothing",
            hint="Mount what it leads to, or remove the link: a new one is begun.",
        )
    try:
        if (thorough or path.stat().st_size <= _CHECKED_BYTES) and is_damaged(path):
            return Condition(unusable="it is damaged")
        with _opened(path) as connection:
            if not _has_namespace(connection):
                return Condition(
                    unusable="it has no tables: its making was cut short, or it was emptied", unfinished=True
                )
            found = _number(connection)
            number = max(found, last_start) + 1
            connection.execute("INSERT OR REPLACE INTO holdfast_starts (id, number) VALUES (1, ?)", (number,))
            behind = "is older than the last one here: it was put back, or it lost its last changes"
            return Condition(number=number, behind=behind if found < last_start - (not found) else "")
    except sqlite3.Error as error:
        return _judged(path, error)


def is_damaged(path: Path) -> bool:
    """Whether SQLite finds its structure broken; reads all of it, which takes a second for each GiB or so."""
    try:
        with contextlib.closing(_connect(path)) as connection:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return _code(error) in _DAMAGED
    return bool(answer != ("ok",))


def complains(log: Path, since: int) -> tuple[bool, int]:
    """Whether the server's log says, behind `since` bytes, that the database is damaged; and how far it was read.

    A server goes on with such a database, answers some requests, and lets the others wait.
    """
    try:
        with log.open("rb") as file:
            file.seek(since)
            said = file.read(_LOG_BLOCK_BYTES)
    except OSError:
        return False, since
    return any(complaint in said for complaint in _COMPLAINTS), since + len(said)


def set_aside(path: Path, *, unfinished: bool = False) -> Path:
    """Rename it, with what lies beside it, and forget all but the newest that were set aside; its new name.

    Raises:
        StorageDeniedError: it cannot be renamed.
    """
    kind = _UNFINISHED if unfinished else _ASIDE
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    aside = path.with_name(f"{path.name}.{kind}-{moment}.{time.time_ns() % NS_PER_S:09d}")
    try:
        # The file goes last: killed before that, what is left is a database that lacks its WAL, and is looked at again.
        for name in (*_BESIDE, ""):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + name).rename(aside.with_name(aside.name + name))
    except OSError as error:
        raise StorageDeniedError(
            f"the server's database {path} cannot be set aside: {error.strerror}",
            hint="Move it away by hand; a new one is begun.",
        ) from error
    _forget_old(path, kind, _KEPT_UNFINISHED if unfinished else KEPT_ASIDE)
    return aside


def put_back(aside: Path, path: Path) -> None:
    """Undo `set_aside`: the file was not to blame. What was begun in its place goes."""
    for name in ("", *_BESIDE):
        path.with_name(path.name + name).unlink(missing_ok=True)
    for name in (*_BESIDE, ""):
        with contextlib.suppress(FileNotFoundError):
            aside.with_name(aside.name + name).rename(path.with_name(path.name + name))


def _forget_old(path: Path, kind: str, kept: int) -> None:
    """Their names begin with the time, so the order of names is that of age."""
    names = [name for name in path.parent.glob(f"{path.name}.{kind}-*") if not name.name.endswith(_BESIDE)]
    for old in sorted(names)[:-kept]:
        for name in (*_BESIDE, ""):
            with contextlib.suppress(OSError):
                old.with_name(old.name + name).unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction that is durable when it ends, because the note that follows must not outlive it."""
    with contextlib.closing(_connect(path)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw", uri=True, timeout=_LOCK_PATIENCE_S, isolation_level=None
    )


def _has_namespace(connection: sqlite3.Connection) -> bool:
    made = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'namespaces'"
    ).fetchone()
    return made is not None and connection.execute("SELECT 1 FROM namespaces LIMIT 1").fetchone() is not None


def _number(connection: sqlite3.Connection) -> int:
    connection.execute(_MAKE_TABLE)
    row = connection.execute("SELECT number FROM holdfast_starts").fetchone()
    return 0 if row is None else int(row[0])


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE


def _judged(path: Path, error: sqlite3.Error) -> Condition:
    """The words for what an error of SQLite's says about the file."""
    code = _code(error)
    if code in _DAMAGED:
        return Condition(unusable=f"it is damaged ({error})")
    if code in _LOCKED:
        raise ServerUnavailableError(
            f"the server's database {path} is locked by another program",
            hint="End what reads or copies it (`fuser -v` names it), then try again.",
        ) from error
    if code == sqlite3.SQLITE_FULL:
        raise StorageFullError(
            f"the state directory is full: {path} cannot be written",
            hint="Make room there, or choose another one with state_dir in holdfast.toml or HOLDFAST_STATE_DIR.",
        ) from error
    if path.is_file():
        raise StorageDeniedError(
            f"the server's database {path} cannot be opened for writing: {error}",
            hint="Look at its permissions, and at the file system of the state directory.",
        ) from error
    return Condition(unusable=f"it is no file ({error})")

"""Connections to the journal's database: opened for each use, private to the user, safe between processes.

The database is an SQLite file or a PostgreSQL server; what differs is here, and nowhere else. A writer is alone:
SQLite's lock on the file, or an advisory lock of PostgreSQL's, which its transaction takes first.

SQLite keeps writing into a file that was deleted, without an error. So no connection outlives its use, and
each use makes file and tables where they are missing: a lost journal begins again by itself.
A damaged one is never moved or overwritten here; it is reported, and a person decides.
"""

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, select, text
from sqlalchemy.dialects import sqlite  # noqa: F401 - or each forked worker would load it with its first engine
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from holdfast.errors import HoldfastError, JournalUnavailableError
from holdfast.service.journal.tables import SCHEMA, SCHEMA_VERSION, TABLES

Password = Callable[[], bytes]
"""Reads the password of a server's role when a connection is made, so that a changed one counts at once."""

BUSY_TIMEOUT_S: Final = 20.0
_BUSY_AGAIN_S: Final = 1.0
_HELD_FOR_S: Final = 120.0
"""Others' writing takes milliseconds. One that did not end within the timeout holds the journal, and the next uses wait
shortly: a run has some of them, and each would wait in full."""
_SERVER_DRIVER: Final = "postgresql+psycopg"
_WRITERS_LOCK: Final = 0x686F6C6466617374  # "holdfast", to be nobody else's number
_CONNECT_TIMEOUT_S: Final = 10
_RETRY_PAUSE_S: Final = 0.02
_WRITES: Final = "holdfast_writes"
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


class Database:
    """The journal's database. Thread-safe; cheap to make, nothing is opened before the first use."""

    def __init__(
        self, url: str | URL, *, password: Password | None = None, busy_timeout_s: float = BUSY_TIMEOUT_S
    ) -> None:
        """url: as SQLAlchemy writes them; SQLite ones need the absolute path of a file.

        Raises:
            JournalUnavailableError: it is no URL of a database that can be used here.
        """
        parsed = _parse(url)
        self._path = _sqlite_path(parsed)
        self._where = parsed.render_as_string() if self._path is None else str(self._path)
        self._busy_timeout_s = busy_timeout_s
        self._held_until = 0.0
        self._server_prepared = False
        with self._translated():
            self._engine = (
                _server_engine(parsed, password, self._patience_s)
                if self._path is None
                else _file_engine(parsed, self._patience_s)
            )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the journal.

        Raises:
            JournalUnavailableError: the journal cannot be opened or read.
        """
        with self._translated(), self._connected(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is alone in writing; committed at its end. Keep it short.

        Raises:
            JournalUnavailableError: the journal cannot be opened or written.
        """
        with self._translated(), self._connected(writes=True) as connection:
            yield connection

    @contextmanager
    def _connected(self, *, writes: bool) -> Iterator[Connection]:
        self._prepare()
        engine = self._engine.execution_options(**{_WRITES: writes})
        with engine.begin() as connection:
            yield connection

    def _patience_s(self) -> float:
        """How long a use of the journal waits for others."""
        held = time.monotonic() < self._held_until
        return min(_BUSY_AGAIN_S, self._busy_timeout_s) if held else self._busy_timeout_s

    def _prepare(self) -> None:
        """Make file and tables where they are missing.

        Not remembered of a file: an inode number tells no two of them apart. A server's tables do not vanish.
        """
        if self._path is not None:
            _make_private(self._path)
            self._make_tables()
        elif not self._server_prepared:
            self._make_tables()
            self._server_prepared = True

    def _make_tables(self) -> None:
        """Create what is missing, and look at the version.

        Several processes may be here at once. Changing a new file to WAL then fails as "locked" at once, without
        SQLite's busy timeout, so the waiting is done here.
        """
        give_up = time.monotonic() + self._patience_s()
        while True:
            try:
                self._check_version(self._found_version())
            except OperationalError as error:
                if "locked" not in str(error.orig) or time.monotonic() > give_up:
                    raise
                time.sleep(_RETRY_PAUSE_S)
            else:
                return

    def _check_version(self, version: int) -> None:
        if version != SCHEMA_VERSION:
            raise JournalUnavailableError(
                f"the journal {self._where} has layout {version}; this program knows {SCHEMA_VERSION}",
                hint="Use the release of Holdfast that wrote it, or another database: its tables are made there.",
            )

    def _found_version(self) -> int:
        """The version of the layout that is there; this program's own where there was none."""
        with self._engine.execution_options(**{_WRITES: False}).connect() as connection:
            there = set(inspect(connection).get_table_names())
            if SCHEMA.name in there:
                found: int | None = connection.scalar(select(SCHEMA.c.version))
                # Tables may have been added within one version of the layout.
                if found is not None and (found != SCHEMA_VERSION or there >= TABLES.tables.keys()):
                    return found
        if self._path is not None:
            with self._engine.connect() as connection:
                _use_wal(connection)
        with self._engine.execution_options(**{_WRITES: True}).begin() as connection:
            TABLES.create_all(connection)
            found = connection.scalar(select(SCHEMA.c.version))
            if found is None:
                connection.execute(insert(SCHEMA).values(version=SCHEMA_VERSION))
            return SCHEMA_VERSION if found is None else found

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except JournalUnavailableError:
            raise
        except HoldfastError as error:  # from where the password should have been
            raise JournalUnavailableError(
                f"the journal {self._where} cannot be used: {error.message}", hint=error.hint
            ) from error
        except (SQLAlchemyError, OSError) as error:
            if _is_held(error):
                self._held_until = time.monotonic() + _HELD_FOR_S
                raise JournalUnavailableError(
                    f"the journal {self._where} is held by another program: {_reason(error)}",
                    hint="Backups go on without it. End what holds it (`fuser` shows who has a file open).",
                ) from error
            hint = "Look at the server and at [journal] in the settings."
            if self._path is not None:
                hint = "If the file is damaged, move it away: a new one is begun."
            raise JournalUnavailableError(
                f"the journal {self._where} cannot be used: {_reason(error)}",
                hint=f"Backups go on without it. {hint}",
            ) from error


def _is_held(error: SQLAlchemyError | OSError) -> bool:
    """Whether the wait for others came to its end: SQLite's SQLITE_BUSY, PostgreSQL's lock_not_available."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # without the extended part
    return code == sqlite3.SQLITE_BUSY or getattr(cause, "sqlstate", "") == "55P03"


def _reason(error: SQLAlchemyError | OSError) -> str:
    """What went wrong, without the statement and its values: those are file names."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        lines = str(error.orig).splitlines()  # a server's further lines may repeat the values
        return lines[0] if lines else type(error.orig).__name__
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__


def _parse(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise JournalUnavailableError(
            "the journal's database is not given as a URL", hint="Write postgresql://user@host/database."
        ) from None
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername=_SERVER_DRIVER)
    if parsed.get_backend_name() == "sqlite":
        return parsed
    raise JournalUnavailableError(
        f"the journal cannot be kept in a database of the kind {parsed.get_backend_name()}",
        hint="It can be in PostgreSQL or SQLite.",
    )


def _sqlite_path(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite":
        return None
    path = Path(url.database or "")
    if not path.is_absolute():
        raise JournalUnavailableError(
            "the journal's database needs an absolute path", hint="Write sqlite:////folder/journal.db."
        )
    return path


def _server_engine(url: URL, password: Password | None, patience_s: Callable[[], float]) -> Engine:
    options = {"connect_timeout": str(_CONNECT_TIMEOUT_S), "application_name": "holdfast"} | dict(url.query)
    engine = create_engine(url.set(query=options), poolclass=NullPool, hide_parameters=True)

    def connecting(_dialect: object, _entry: object, _arguments: object, options: dict[str, Any]) -> None:
        if password is not None:
            options["password"] = password().decode("utf-8", "surrogateescape")

    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        if writes is None:
            return
        if not writes:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return
        # Not in one statement with others: what follows has to see what the writer before committed.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(patience_s() * 1000)}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")

    event.listen(engine, "do_connect", connecting)
    event.listen(engine, "begin", begin)
    return engine


def _file_engine(url: URL, patience_s: Callable[[], float]) -> Engine:
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)

    def opened(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver's own transactions begin late and deferred
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {round(patience_s() * 1000)}")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        if writes is not None:
            # A writer that begins as a reader gets "locked" without waiting when another one was faster.
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine, "connect", opened)
    event.listen(engine, "begin", begin)
    return engine


def _use_wal(connection: Connection) -> None:
    """Readers and one writer at once; must be asked for outside of a transaction, and stays with the file."""
    connection.execute(text("PRAGMA journal_mode = WAL"))


def _make_private(path: Path) -> None:
    """The file exists and is its owner's alone; SQLite gives the same mode to the files beside it."""
    path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    try:
        status = path.stat()
    except FileNotFoundError:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE))
        return
    if stat.S_IMODE(status.st_mode) & ~_FILE_MODE and status.st_uid == os.geteuid():
        path.chmod(_FILE_MODE)

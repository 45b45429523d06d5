"""The journal: writes about runs, and answers. Every call may fail with JournalUnavailableError, and only that.

Writes are idempotent, because activities are: recording a run twice, or its files, gives what recording once gives.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import URL, Connection, Row, Table, and_, delete, func, insert, or_, select, update

from holdfast.contracts.verify import DAMAGE_FOUND
from holdfast.errors import AlreadyEndedError, JournalUnavailableError, RunClosedError
from holdfast.file_list import Chunk, FileAction, FileRecord, clean_text, decode_lines, encode_chunks
from holdfast.service.journal.database import BUSY_TIMEOUT_S, Database, Password
from holdfast.service.journal.records import (
    INTERRUPTED,
    Added,
    OutputRecord,
    RunRecord,
    VerdictRecord,
    added_bytes,
)
from holdfast.service.journal.tables import FILE_CHUNKS, OUTPUTS, RUNS
from holdfast.terms import RunKind, RunStatus

_FINISHED: Final = (RunStatus.COMPLETE.value, RunStatus.PARTIAL.value)
_WRONG: Final = (RunStatus.FAILED.value, RunStatus.PARTIAL.value)
_UNSOUND: Final = '"ok":false'
"""In the JSON of a verdict; in what a finding says, the quotes are escaped."""
_SOUND_OR_FAILED: Final = (RunKind.BACKUP.value, RunKind.RESTORE.value, RunKind.VERIFY.value)
_SAY_THAT_IT_ENDED: Final = (AlreadyEndedError.__name__, RunClosedError.__name__)
"""A server with an older database asks for what is over: that is no end of the run."""
_KEPT: Final = ("verdict", "request", "source_digest")
_COUNTERS: Final = msgspec.json.Decoder(dict[str, int])
_VERDICT: Final = msgspec.json.Decoder(VerdictRecord)


class Journal:
    """The log of runs in one database. Thread-safe; several processes may use one at once."""

    def __init__(
        self, url: str | URL, *, password: Password | None = None, busy_timeout_s: float = BUSY_TIMEOUT_S
    ) -> None:
        """url: of the database, "sqlite:////folder/journal.db" or "postgresql://user@host/database".

        File and tables are made at the first use. password: of the server's role.
        """
        self._database = Database(url, password=password, busy_timeout_s=busy_timeout_s)

    @classmethod
    def at(cls, path: Path) -> "Journal":
        """The journal in the SQLite file `path` (absolute)."""
        return cls(
            URL.create("sqlite", database=str(path))
        )  # as text, a "?" in the path would begin the options

    def record(self, run: RunRecord) -> None:
        """Write the run's record in place of the one that it may have.

        A verdict, a request and a digest are kept when the new record has none. A run that has ended is never put
        back to running: who says so woke up late. A run that begins as the resumption of another ends what was left
        of that.
        """
        row = _row(run)
        with self._database.writing() as connection:
            standing = _run_row(connection, clean_text(run.run_id))
            if standing is not None and _comes_late(run, standing):
                return
            if standing is not None:
                row |= {name: row[name] or getattr(standing, name) for name in _KEPT}
            _put(connection, RUNS, row)
            if run.resumes and run.status is RunStatus.RUNNING:
                _end_earlier_attempts(connection, run)

    def set_verdict(self, run_id: str, verdict: VerdictRecord) -> None:
        """Add to the run's record what verifying it found; nothing happens when the journal has no such run.

        One that stored, restored or checked, and was found to be damaged, has failed, whatever it said before.
        """
        same = RUNS.c.run_id == clean_text(run_id)
        damaged = and_(same, RUNS.c.kind.in_(_SOUND_OR_FAILED), RUNS.c.status.in_(_FINISHED))
        with self._database.writing() as connection:
            connection.execute(update(RUNS).where(same).values(verdict=_verdict_json(verdict)))
            if not verdict.ok:
                failed = {"status": RunStatus.FAILED.value, "failure_kind": DAMAGE_FOUND}
                connection.execute(update(RUNS).where(damaged).values(failed))

    def add_files(self, run_id: str, files: Iterable[FileRecord]) -> int:
        """Write the run's files in place of those that it may have; returns how many. `files` may be long."""
        return self.add_chunks(run_id, encode_chunks(files))

    def add_chunks(self, run_id: str, chunks: Iterable[Chunk]) -> int:
        """The same for files that are encoded already.

        `chunks` may be slow to come: each is a short transaction of its own, and its place says which one it
        replaces, so that two attempts at once that tell the same leave it there once.
        """
        key, total, count = clean_text(run_id), 0, 0
        for number, chunk in enumerate(chunks):
            row = {
                "run_id": key,
                "number": number,
                "records": chunk.records,
                "actions": _searchable(chunk.actions),
                "lines": chunk.lines,
            }
            with self._database.writing() as connection:
                _put(connection, FILE_CHUNKS, row)
            total += chunk.records
            count = number + 1
        with self._database.writing() as connection:
            connection.execute(
                delete(FILE_CHUNKS).where(FILE_CHUNKS.c.run_id == key, FILE_CHUNKS.c.number >= count)
            )
        return total

    def add_output(self, run_id: str, output: OutputRecord) -> None:
        """Write what a hook of the run printed, in place of what an earlier attempt of it did."""
        row = {name: _stored(value) for name, value in msgspec.structs.asdict(output).items()}
        row["run_id"] = clean_text(run_id)
        with self._database.writing() as connection:
            _put(connection, OUTPUTS, row)

    def outputs(self, run_id: str) -> list[OutputRecord]:
        """What the hooks of the run printed, in the order in which they ran."""
        query = (
            select(OUTPUTS)
            .where(OUTPUTS.c.run_id == clean_text(run_id))
            .order_by(OUTPUTS.c.started_ns, OUTPUTS.c.hook)
        )
        with self._database.reading() as connection:
            return [
                msgspec.convert(row, OutputRecord, from_attributes=True) for row in connection.execute(query)
            ]

    def run(self, run_id: str) -> RunRecord | None:
        """The run's record, or None."""
        with self._database.reading() as connection:
            row = _run_row(connection, clean_text(run_id))
            return None if row is None else _record(row)

    def runs(  # noqa: PLR0913 - all but the first go by name
        self,
        limit: int = 50,
        *,
        source: str | None = None,
        repositories: Collection[str] = (),
        host: str | None = None,
        kind: RunKind | None = None,
        statuses: Collection[RunStatus] = (),
        since_ns: int | None = None,
        before_ns: int | None = None,
        wrong: bool = False,
    ) -> list[RunRecord]:
        """The newest runs first.

        repositories, statuses: any of these. since_ns, before_ns: only those that started then or later, and earlier.
        wrong: only those that failed or lack something, or in which something wrong was found.
        """
        query = select(RUNS).order_by(RUNS.c.started_ns.desc(), RUNS.c.run_id).limit(limit)
        if source is not None:
            query = query.where(RUNS.c.source == clean_text(source))
        if repositories:
            query = query.where(RUNS.c.repository.in_([clean_text(name) for name in repositories]))
        if host is not None:
            query = query.where(RUNS.c.host == clean_text(host))
        if kind is not None:
            query = query.where(RUNS.c.kind == kind.value)
        if statuses:
            query = query.where(RUNS.c.status.in_([status.value for status in statuses]))
        if since_ns is not None:
            query = query.where(RUNS.c.started_ns >= since_ns)
        if before_ns is not None:
            query = query.where(RUNS.c.started_ns < before_ns)
        if wrong:
            query = query.where(or_(RUNS.c.status.in_(_WRONG), RUNS.c.verdict.contains(_UNSOUND)))
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def last_asked_by(self, name: str) -> RunRecord | None:
        """The newest run that was asked for by this name (a schedule's id, say); None without one."""
        query = (
            select(RUNS)
            .where(RUNS.c.trigger_by == clean_text(name))
            .order_by(RUNS.c.started_ns.desc(), RUNS.c.run_id)
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
            return None if row is None else _record(row)

    def newest_of_each(self, kind: RunKind) -> list[RunRecord]:
        """The newest run of a kind by each status of each source in each repository of each host, in any order."""
        of = (RUNS.c.repository, RUNS.c.source, RUNS.c.host, RUNS.c.status)
        newest = (
            select(*of, func.max(RUNS.c.started_ns).label("started_ns"))
            .where(RUNS.c.kind == kind.value)
            .group_by(*of)
            .subquery()
        )
        same = and_(
            RUNS.c.kind == kind.value,
            *(column == newest.c[column.name] for column in (*of, RUNS.c.started_ns)),
        )
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(select(RUNS).join(newest, same))]

    def added(self, since_ns: int) -> list[Added]:
        """What the backups since then have added, in the order in which they began."""
        query = (
            select(RUNS.c.repository, RUNS.c.source, RUNS.c.host, RUNS.c.started_ns, RUNS.c.counters)
            .where(RUNS.c.kind == RunKind.BACKUP.value, RUNS.c.started_ns >= since_ns)
            .order_by(RUNS.c.started_ns)
        )
        with self._database.reading() as connection:
            return [
                Added(repository, source, host, started_ns, added_bytes(_COUNTERS.decode(counters)))
                for repository, source, host, started_ns, counters in connection.execute(query)
            ]

    def sources(self) -> list[str]:
        """What runs are of: names of sources and systems, and tokens. Raises as `runs`."""
        with self._database.reading() as connection:
            return sorted(connection.scalars(select(RUNS.c.source).distinct()))

    def repositories(self) -> list[str]:
        """The repositories that any run named."""
        with self._database.reading() as connection:
            return sorted(connection.scalars(select(RUNS.c.repository).distinct()))

    def ending_with(self, digits: str) -> list[str]:
        """The ids of the runs that end with `digits`, newest first."""
        query = (
            select(RUNS.c.run_id)
            .where(RUNS.c.run_id.endswith(clean_text(digits), autoescape=True))
            .order_by(RUNS.c.started_ns.desc(), RUNS.c.run_id)
        )
        with self._database.reading() as connection:
            return list(connection.scalars(query))

    def files(self, run_id: str, actions: Collection[FileAction] = ()) -> Iterator[FileRecord]:
        """The run's files in the order in which they were told; with `actions`, only those. Bounded memory."""
        wanted, key, number = frozenset(actions), clean_text(run_id), -1
        while True:
            query = (
                select(FILE_CHUNKS.c.number, FILE_CHUNKS.c.lines)
                .where(FILE_CHUNKS.c.run_id == key, FILE_CHUNKS.c.number > number)
                .order_by(FILE_CHUNKS.c.number)
                .limit(1)
            )
            if wanted:
                query = query.where(or_(*(FILE_CHUNKS.c.actions.contains(f" {a.value} ") for a in wanted)))
            with self._database.reading() as connection:
                found = connection.execute(query).one_or_none()
            if found is None:
                return
            number = found.number
            yield from (file for file in decode_lines(found.lines) if not wanted or file.action in wanted)


def _put(connection: Connection, table: Table, row: dict[str, object]) -> None:
    """Write the row in place of the one that has its key. The writer is alone, so nobody comes in between."""
    same = and_(*(column == row[column.name] for column in table.primary_key))
    connection.execute(delete(table).where(same))
    connection.execute(insert(table).values(row))


def _run_row(connection: Connection, run_id: str) -> Row[Any] | None:
    return connection.execute(select(RUNS).where(RUNS.c.run_id == run_id)).one_or_none()


def _comes_late(run: RunRecord, standing: Row[Any]) -> bool:
    if standing.status == RunStatus.RUNNING.value:
        return False
    return run.status is RunStatus.RUNNING or run.failure_kind in _SAY_THAT_IT_ENDED


def _end_earlier_attempts(connection: Connection, run: RunRecord) -> None:
    """Those that still seem to run: the server forgot them, or was ended with them."""
    resumes, own = clean_text(run.resumes), clean_text(run.run_id)
    earlier = update(RUNS).where(
        RUNS.c.status == RunStatus.RUNNING.value,
        RUNS.c.run_id != own,
        or_(RUNS.c.run_id == resumes, RUNS.c.resumes == resumes),
    )
    ended = {
        "status": RunStatus.FAILED.value,
        "ended_ns": run.started_ns,
        "failure_kind": INTERRUPTED,
        "failure_message": f"no server knew of it; run {own} went on with it",
    }
    connection.execute(earlier.values(ended))


def _searchable(actions: Iterable[FileAction]) -> str:
    return " ".join(chain([""], sorted(action.value for action in actions), [""]))


def _verdict_json(verdict: VerdictRecord) -> str:
    problems = tuple(clean_text(problem) for problem in verdict.problems)
    return msgspec.json.encode(msgspec.structs.replace(verdict, problems=problems)).decode()


def _row(run: RunRecord) -> dict[str, Any]:
    return {column.name: _stored(getattr(run, column.name)) for column in RUNS.c}


def _stored(value: object) -> object:
    """A value as a column has it."""
    match value:
        case str():
            return clean_text(value)
        case VerdictRecord():
            return _verdict_json(value)
        case Mapping():
            return msgspec.json.encode(dict(value)).decode()
    return value


def _record(row: Row[Any]) -> RunRecord:
    try:
        read = {
            "kind": RunKind(row.kind),
            "status": RunStatus(row.status),
            "counters": _COUNTERS.decode(row.counters),
            "verdict": None if row.verdict is None else _VERDICT.decode(row.verdict),
        }
    except (ValueError, msgspec.DecodeError) as error:
        raise JournalUnavailableError(
            f"the journal's record of run {row.run_id} cannot be read",
            hint="It was damaged or written by another release; the snapshot is not touched by this.",
        ) from error
    return RunRecord(**row._asdict() | read)

"""The journal's tables. Their version is stored, so that no program writes into a layout that it does not know."""

from typing import Final

from sqlalchemy import BigInteger, Index, LargeBinary, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA_VERSION: Final = 1


class Table(DeclarativeBase):
    """The base of all tables."""


class SchemaRow(Table):
    """One row: the version of the layout that this database has."""

    __tablename__ = "schema_version"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class RunRow(Table):
    """One run; `counters` and `verdict` are JSON."""

    __tablename__ = "runs"
    __table_args__ = (
        Index("runs_by_start", "started_ns"),
        Index("runs_by_source", "source", "started_ns"),
    )

    run_id: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    repository: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    host: Mapped[str] = mapped_column(Text)
    trigger_kind: Mapped[str] = mapped_column(Text)
    trigger_by: Mapped[str] = mapped_column(Text)
    trigger_evidence: Mapped[str] = mapped_column(Text)
    strategy: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    parent: Mapped[str] = mapped_column(Text)
    snapshot_id: Mapped[str] = mapped_column(Text)
    started_ns: Mapped[int] = mapped_column(BigInteger)
    ended_ns: Mapped[int] = mapped_column(BigInteger)
    counters: Mapped[str] = mapped_column(Text)
    failure_kind: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str | None] = mapped_column(Text)


class FileChunkRow(Table):
    """Some thousand file records of one run, in their order: `lines` is zstd-compressed JSON lines.

    actions: which kinds of records are inside, as " new warning ", so that a search can pass over the others.
    """

    __tablename__ = "run_files"

    run_id: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    records: Mapped[int]
    actions: Mapped[str] = mapped_column(Text)
    lines: Mapped[bytes] = mapped_column(LargeBinary)


class OutputRow(Table):
    """What a hook of one run printed, and how it ended."""

    __tablename__ = "outputs"

    run_id: Mapped[str] = mapped_column(Text, primary_key=True)
    moment: Mapped[str] = mapped_column(Text, primary_key=True)
    hook: Mapped[str] = mapped_column(Text, primary_key=True)
    exit_code: Mapped[int]
    timed_out: Mapped[bool]
    started_ns: Mapped[int] = mapped_column(BigInteger)
    ended_ns: Mapped[int] = mapped_column(BigInteger)
    output: Mapped[str] = mapped_column(Text)

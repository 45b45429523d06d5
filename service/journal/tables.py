"""The journal's tables. Their version is stored, so that no program writes into a layout that it does not know.

Plain tables: the mapping of rows to objects takes a command another tenth of a second to load.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text

SCHEMA_VERSION: Final = 2
TABLES: Final = MetaData()

SCHEMA: Final = Table(
    "schema_version",
    TABLES,
    Column("version", Integer, primary_key=True, autoincrement=False),
)
"""One row: the version of the layout that this database has."""

RUNS: Final = Table(
    "runs",
    TABLES,
    Column("run_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("trigger_kind", Text, nullable=False),
    Column("trigger_by", Text, nullable=False),
    Column("trigger_evidence", Text, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("snapshot_id", Text, nullable=False),
    Column("started_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger, nullable=False),
    Column("counters", Text, nullable=False),
    Column("failure_kind", Text, nullable=False),
    Column("failure_message", Text, nullable=False),
    Column("resumes", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("source_digest", Text, nullable=False),
    Column("verdict", Text),
    Index("runs_by_start", "started_ns"),
    Index("runs_by_source", "source", "started_ns"),
    Index("runs_by_resumed", "resumes"),
)
"""One row for each run, with the names of `RunRecord`; `counters` and `verdict` are JSON."""

FILE_CHUNKS: Final = Table(
    "run_files",
    TABLES,
    Column("run_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("records", Integer, nullable=False),
    Column("actions", Text, nullable=False),
    Column("lines", LargeBinary, nullable=False),
)
"""Some thousand file records of one run, in their order: `lines` is zstd-compressed JSON lines.

actions: which kinds of records are inside, as " new warning ", so that a search can pass over the others.
"""

OUTPUTS: Final = Table(
    "outputs",
    TABLES,
    Column("run_id", Text, primary_key=True),
    Column("moment", Text, primary_key=True),
    Column("hook", Text, primary_key=True),
    Column("exit_code", Integer, nullable=False),
    Column("timed_out", Boolean, nullable=False),
    Column("started_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger, nullable=False),
    Column("output", Text, nullable=False),
)
"""What a hook of one run printed, and how it ended."""

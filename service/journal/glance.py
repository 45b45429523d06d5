"""A glance at the journal's file needs no SQLAlchemy, which takes a quarter of a second to load.

It only tells the usual case, which needs nothing further, from all others, which `journal.py` then looks at.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from holdfast.terms import RunKind, RunStatus

_ENDED_WELL: Final = frozenset((RunStatus.COMPLETE, RunStatus.PARTIAL))
_WHOLE: Final = 1 << 30
_NEWEST: Final = (
    "SELECT status FROM runs WHERE kind = ? AND repository = ? AND substr(source, 1, ?) = ?"
    " ORDER BY started_ns DESC, run_id LIMIT 1"
)
_ENDED: Final = "SELECT status FROM runs WHERE run_id = ?"


def nothing_open(
    path: Path, kind: RunKind, repository: str, source: str, *, alike: int | None = None
) -> bool:
    """Whether the newest run of a source is known to have reached its end, or there is none; no also where that cannot
    be seen here. alike: sources that begin with so many of these characters count as this one.
    """
    length, wanted = (_WHOLE, source) if alike is None else (alike, source[:alike])
    found = _statuses(path, _NEWEST, kind.value, repository, length, wanted)
    return found is not None and all(status in _ENDED_WELL for status in found)


def is_recorded(path: Path, run_id: str) -> bool:
    """Whether the run has its record, with an end; no also where that cannot be seen here."""
    return any(status != RunStatus.RUNNING for status in _statuses(path, _ENDED, run_id) or ())


def _statuses(path: Path, query: str, *values: str | int) -> list[str] | None:
    """The status of the run that is asked for, if there is one; None where that cannot be seen here."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            return [status for (status,) in connection.execute(query, values)]
    except sqlite3.Error:
        return None

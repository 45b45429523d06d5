"""A glance at the journal's file, without SQLAlchemy, which takes a quarter of a second to load.

It only tells the usual case, which needs nothing further, from all others, which `journal.py` then looks at.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from holdfast.journal.records import RunKind, RunOutcome

_ENDED_WELL: Final = frozenset((RunOutcome.COMPLETE, RunOutcome.PARTIAL))
_NEWEST: Final = (
    "SELECT status FROM runs WHERE kind = ? AND repository = ? AND source = ?"
    " ORDER BY started_ns DESC, run_id LIMIT 1"
)


def ended_well(path: Path, kind: RunKind, repository: str, source: str) -> bool:
    """Whether the newest run of a source is known to have reached its end; no also where that cannot be seen here."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            found = connection.execute(_NEWEST, (kind.value, repository, source)).fetchone()
    except sqlite3.Error:
        return False
    return found is not None and found[0] in _ENDED_WELL

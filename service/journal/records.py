"""What the journal holds: one record for each run, and one for each file that the run touched or could not read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final, NamedTuple, TypeVar

import msgspec

from holdfast.terms import RunKind, RunStatus, SelectionTotals, SnapshotTotals, StoredTotals, Totals

TotalsT = TypeVar("TotalsT", bound=Totals)
_SELECTED: Final = "selected_"
_STORED: Final = "stored_"
INTERRUPTED: Final = "Interrupted"
"""As failure_kind: the attempt came to no end of its own, and another one went on with it."""


class Added(NamedTuple):
    """What one backup has added to its repository, in bytes as stored."""

    repository: str
    source: str
    host: str
    started_ns: int
    added_bytes: int


class OutputRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How a hook ended, and the end of what it printed. moment: "before", "after". exit_code: negative for a signal."""

    hook: str
    moment: str
    exit_code: int
    timed_out: bool = False
    started_ns: int
    ended_ns: int
    output: str = ""


class VerdictRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the run's verification found. `problems` lists the findings (capped), `problem_count` counts them all."""

    level: str
    ok: bool
    blobs: int = 0
    packs: int = 0
    files: int = 0
    bytes_read: int = 0
    problem_count: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run. Names as the run was asked for; times in nanoseconds since 1970, `ended_ns` 0 while it runs.

    counters: whatever was counted, by name; names that start alike belong together. snapshot_id, parent: 64 hex
    digits or empty. reason: why this strategy. failure_kind: the class of the error that ended the run, failure_message
    what it said. resumes: the run that this attempt goes on with, whose workspace it uses; empty for one that begins.
    request: what was asked, as JSON, for who asks it again; empty where that is not known.
    source_digest: of a backup, `SourceSpec.digest` as it was when the run was opened. verdict: set by
    `Journal.set_verdict`, and kept when the run is recorded again without one.
    """

    run_id: str
    kind: RunKind
    status: RunStatus
    repository: str
    source: str = ""
    host: str = ""
    trigger_kind: str = ""
    trigger_by: str = ""
    trigger_evidence: str = ""
    strategy: str = ""
    reason: str = ""
    parent: str = ""
    snapshot_id: str = ""
    started_ns: int
    ended_ns: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)
    failure_kind: str = ""
    failure_message: str = ""
    resumes: str = ""
    request: str = ""
    source_digest: str = ""
    verdict: VerdictRecord | None = None

    @property
    def workspace_id(self) -> str:
        """The run as its workspace knows it: the first attempt's."""
        return self.resumes or self.run_id

    @property
    def selected(self) -> SelectionTotals:
        """What a backup has selected."""
        return self._counted(SelectionTotals, _SELECTED)

    @property
    def stored(self) -> StoredTotals:
        """What a backup's shards have stored."""
        return self._counted(StoredTotals, _STORED)

    @property
    def totals(self) -> SnapshotTotals:
        """What the run came to; of a backup without a snapshot, as far as it came."""
        if any(one.name in self.counters for one in fields(SnapshotTotals)):
            return self._counted(SnapshotTotals)
        selected, stored = self.selected, self.stored
        errors = max(selected.errors, stored.errors)
        return SnapshotTotals(bytes_total=selected.bytes_total, errors=errors).with_data(stored)

    def _counted(self, kind: type[TotalsT], prefix: str = "") -> TotalsT:
        return kind(**{one.name: self.counters.get(prefix + one.name, 0) for one in fields(kind)})

    @property
    def duration_ns(self) -> int:
        """How long the run took; 0 while it runs."""
        return max(0, self.ended_ns - self.started_ns) if self.ended_ns else 0


def added_bytes(counters: Mapping[str, int]) -> int:
    """What a backup's counts say that it has added, as stored; also of one without a snapshot."""
    name = "data_added_packed"
    return counters.get(name, counters.get(_STORED + name, 0))


def counters_of(totals: Totals, prefix: str = "") -> dict[str, int]:
    """Counts as a record has them."""
    return {prefix + one.name: getattr(totals, one.name) for one in fields(totals)}


def backup_counters(
    selected: SelectionTotals, stored: StoredTotals, snapshot: SnapshotTotals | None
) -> dict[str, int]:
    """The counts of a backup; `RunRecord.selected`, `.stored` and `.totals` read them."""
    counters = counters_of(selected, _SELECTED) | counters_of(stored, _STORED)
    return counters if snapshot is None else counters | counters_of(snapshot.with_data(stored))

"""Measures a source: by its earlier runs in the journal, or by two scans with a pause between them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from holdfast.control.schedules.advice import DAY_S, Facts
from holdfast.service.journal.records import RunRecord
from holdfast.source.events import Files
from holdfast.source.spec import SourceSpec
from holdfast.source.walk import Walker
from holdfast.terms import RunStatus
from holdfast.units import NS_PER_S, counted

_FINISHED: Final = frozenset((RunStatus.COMPLETE, RunStatus.PARTIAL))
_SHORTEST_NS: Final = 3_600 * NS_PER_S
"""Runs closer together than an hour tell nothing about a day."""


def from_runs(runs: Sequence[RunRecord]) -> Facts | None:
    """From the journal's backups of a source, newest first; None where they cover less than an hour."""
    finished = [run for run in runs if run.status in _FINISHED and run.ended_ns]
    later = [run for run in finished if run.parent]
    if not later or finished[0].started_ns - finished[-1].started_ns < _SHORTEST_NS:
        return None
    newest = finished[0]
    days = (newest.started_ns - finished[-1].started_ns) / NS_PER_S / DAY_S
    # The first run of the span is where it begins; what it read had changed before.
    since = [run for run in finished[:-1] if run.parent]
    changed = sum(run.selected.bytes_to_read for run in since)
    added = sum(run.totals.data_added_packed for run in since)
    largest = max(finished, key=lambda run: run.stored.bytes_read)
    read = largest.stored.bytes_read
    return Facts(
        bytes_total=newest.totals.bytes_total,
        files=newest.totals.files,
        changed_bytes_per_day=changed / days,
        added_bytes_per_day=added / days,
        read_bytes_per_s=read / (largest.duration_ns / NS_PER_S) if read and largest.duration_ns else None,
        origin=f"{counted(len(finished), 'run')} in {days:.1f} days",
    )


@dataclass(slots=True)
class Scan:
    """One look at a source: of each file a hash of its path, and size and time of change."""

    time_ns: int
    files: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def bytes_total(self) -> int:
        return sum(size for size, _ in self.files.values())


def scan(spec: SourceSpec) -> Scan:
    """Look at all files of a source; nothing is read.

    Raises:
        SourceMissingError: nothing is there.
    """
    found = Scan(time.time_ns())
    for event in Walker(spec):
        if isinstance(event, Files):
            for name, stat in zip(event.names, event.stats, strict=True):
                found.files[hash((event.directory, name))] = (stat.st_size, stat.st_mtime_ns)
    return found


def from_scans(spec: SourceSpec, pause_s: float, sleep: Callable[[float], None] = time.sleep) -> Facts:
    """From two scans. What changed between them stands for the day, so a longer pause is a better measure.

    Raises:
        SourceMissingError: nothing is there.
    """
    before = scan(spec)
    sleep(pause_s)
    after = scan(spec)
    changed = sum(
        size for key, (size, time_ns) in after.files.items() if before.files.get(key) != (size, time_ns)
    )
    days = (after.time_ns - before.time_ns) / NS_PER_S / DAY_S
    return Facts(
        bytes_total=after.bytes_total,
        files=len(after.files),
        changed_bytes_per_day=min(changed / days, float(after.bytes_total)),
        origin=f"two scans {pause_s:g} s apart",
    )

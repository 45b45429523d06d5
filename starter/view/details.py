"""Describes a run to people, as names and values: what was asked, how it stands or ended, what was counted."""

import time
from collections.abc import Sequence
from typing import Final

from holdfast.control.listing import ListedRun
from holdfast.control.names import location_of, subject_of
from holdfast.control.records import why
from holdfast.service.journal.records import RunRecord, VerdictRecord
from holdfast.service.settings.model import Settings
from holdfast.starter.shell.table import fields
from holdfast.starter.shell.text import named_time
from holdfast.units import counted, format_bytes, format_duration

_STATES: Final = ("Status", "Verification", "Result")
_BYTE_COUNTERS: Final = ("bytes_", "data_added", "stored_bytes", "selected_bytes", "stored_data_added")


def details(
    settings: Settings, run: ListedRun, *, status: str, now: Sequence[tuple[str, str]] = ()
) -> list[str]:
    """Lines; what is not known is left out. status: how it stands. now: what is known of it at this moment beside."""
    record = run.record
    ended = "" if record is None or not record.failure_kind else f" ({record.failure_kind})"
    pairs = [
        ("Run", run.run_id),
        ("Kind", run.kind.value),
        ("Status", f"{status}{ended}"),
        ("What", subject_of(settings, run.kind, run.subject, run.repository)),
        ("Repository", location_of(settings, run.repository)),
        *now,
        *([] if record is None else _recorded(settings, record)),
        ("Took", took(run)),
    ]
    if record is not None:
        pairs += [(name, _count(name, count)) for name, count in record.counters.items() if count]
    return fields(pairs, states=_STATES)


def took(run: ListedRun) -> str:
    """How long it took, or has taken so far."""
    record = run.record
    if record is None or (run.view is None and not record.ended_ns):
        return ""
    return format_duration(
        record.duration_ns if run.view is None else max(0, time.time_ns() - record.started_ns)
    )


def verdict_words(verdict: VerdictRecord) -> str:
    """`good (written): 12 packs, 1.2 MiB read`."""
    found = "good" if verdict.ok else counted(verdict.problem_count, "PROBLEM", "PROBLEMS")
    read = [counted(verdict.blobs, "blob")] if verdict.blobs else []
    read += [counted(verdict.packs, "pack")] if verdict.packs else []
    read += [counted(verdict.files, "file")] if verdict.files else []
    read += [f"{format_bytes(verdict.bytes_read)} read"] if verdict.bytes_read else []
    return f"{found} ({verdict.level}){': ' if read else ''}{', '.join(read)}"


def _recorded(settings: Settings, run: RunRecord) -> list[tuple[str, str]]:
    reason = why(settings, run)
    return [
        ("Because", "" if reason is None else reason.text),
        ("Next", "" if reason is None else reason.next_step),
        ("Resumes", run.resumes),
        ("Host", run.host),
        ("Asked by", " ".join(filter(None, (run.trigger_kind, run.trigger_by, run.trigger_evidence)))),
        ("Strategy", f"{run.strategy} ({run.reason})" if run.reason else run.strategy),
        ("Parent", run.parent),
        ("Snapshot", run.snapshot_id),
        ("Verification", "" if run.verdict is None else verdict_words(run.verdict)),
        ("Started", named_time(run.started_ns)),
        ("Ended", named_time(run.ended_ns) if run.ended_ns else ""),
    ]


def _count(name: str, count: int) -> str:
    return f"{count:,} ({format_bytes(count)})" if name.startswith(_BYTE_COUNTERS) else f"{count:,}"

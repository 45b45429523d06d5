"""A run as the journal has it, as JSON and in words; and how a person's word for a run is looked up there."""

from collections.abc import Mapping
from typing import Final

import msgspec

from contracts.backup import BackupRequest
from contracts.restore import RestoreRequest
from contracts.verify import VerifyRequest
from holdfast.errors import UsageError
from holdfast.file_list import WRONG_ACTIONS, FileAction
from holdfast.terms import RunKind
from holdfast.units import format_bytes, format_duration
from service.journal.journal import Journal
from service.journal.records import RunRecord, VerdictRecord
from service.settings.model import Settings
from starter.requests.orders import describe_selection, describe_source, known_repository, veiled_roots
from starter.shell.invocation import Invocation
from starter.shell.output import revealed
from starter.shell.text import local_time

TOLD_ACTIONS: Final = WRONG_ACTIONS | {FileAction.WARNING}
"""Which paths of a run are told of by themselves."""

_REQUESTS: Final[Mapping[RunKind, type[BackupRequest | RestoreRequest | VerifyRequest]]] = {
    RunKind.BACKUP: BackupRequest,
    RunKind.RESTORE: RestoreRequest,
    RunKind.VERIFY: VerifyRequest,
}
_RESTORES: Final = frozenset((RunKind.RESTORE, RunKind.DRY_RUN))
_SHORT_LENGTH: Final = 8
_FEWEST_DIGITS: Final = 4
_BYTE_COUNTERS: Final = ("bytes_", "data_added", "stored_bytes", "selected_bytes", "stored_data_added")


def short_id(run: RunRecord) -> str:
    """What a person types: the end of its id, because Temporal's begin with the time."""
    return run.run_id[-_SHORT_LENGTH:]


def subject_of(settings: Settings, run: RunRecord) -> str:
    """What was backed up, restored or checked, in a person's words."""
    if run.kind in _RESTORES:
        return describe_selection(settings, run.source)
    return describe_source(settings, run.source) if run.source else location_of(settings, run.repository)


def location_of(settings: Settings, name: str) -> str:
    """A repository's profile, or the location of one that was given by it."""
    try:
        profile = known_repository(settings, name)
    except UsageError:
        return name
    return profile.location if profile.is_request else profile.name


def find_record(journal: Journal, name: str) -> RunRecord:
    """The run that a person means: its id or the end of that, or its source's name (then the newest).

    Raises:
        UsageError: none or several.
        JournalUnavailableError: the journal cannot be read.
    """
    found = journal.run(name)
    if found is not None:
        return found
    of_source = journal.runs(1, source=name)
    if of_source:
        return of_source[0]
    ids = journal.ending_with(name) if len(name) >= _FEWEST_DIGITS else []
    if len(ids) > 1:
        raise UsageError(f"several runs end with {name!r}", hint="Give more digits of the id.")
    found = journal.run(ids[0]) if ids else None
    if found is None:
        raise UsageError(f"no run and no source is called {name!r}", hint="`holdfast runs` lists the runs.")
    return found


def repositories_named(invocation: Invocation, journal: Journal, named: str) -> list[str]:
    """The names that the journal's runs have for a repository, which was given as a profile or a location.

    Raises:
        JournalUnavailableError: the journal cannot be read.
    """
    settings = invocation.settings
    if named in settings.repositories:
        return [named]
    try:
        location = invocation.rules.location(named)
    except ValueError:
        location = named
    return [name for name in journal.repositories() if _location(settings, name) in {named, location}]


def document(settings: Settings, run: RunRecord) -> dict[str, object]:
    """A run for programs: everything that the journal has of it."""
    return {
        "run_id": run.run_id,
        "short_id": short_id(run),
        "kind": run.kind.value,
        "status": run.status.value,
        "repository": location_of(settings, run.repository),
        "source": run.source,
        "subject": subject_of(settings, run),
        "host": run.host,
        "trigger": {"kind": run.trigger_kind, "by": run.trigger_by, "evidence": run.trigger_evidence},
        "strategy": run.strategy,
        "reason": run.reason,
        "parent": run.parent,
        "snapshot_id": run.snapshot_id,
        "started_ns": run.started_ns,
        "ended_ns": run.ended_ns,
        "duration_ns": run.duration_ns,
        "failure": run.failure_kind,
        "failure_message": failure_words(settings, run),
        "resumes": run.resumes,
        "counters": dict(run.counters),
        "verdict": None if run.verdict is None else _verdict(run.verdict),
    }


def details(settings: Settings, run: RunRecord) -> list[tuple[str, str]]:
    """A run for people, as names and values; what is not known is left out."""
    asked = " ".join(filter(None, (run.trigger_kind, run.trigger_by, run.trigger_evidence)))
    pairs = [
        ("Run", run.run_id),
        ("Kind", run.kind.value),
        ("Status", f"{run.status.value} ({run.failure_kind})" if run.failure_kind else run.status.value),
        ("Because", failure_words(settings, run)),
        ("Resumes", run.resumes),
        ("What", subject_of(settings, run)),
        ("Repository", location_of(settings, run.repository)),
        ("Host", run.host),
        ("Asked by", asked),
        ("Strategy", f"{run.strategy} ({run.reason})" if run.reason else run.strategy),
        ("Parent", run.parent),
        ("Snapshot", run.snapshot_id),
        ("Started", local_time(run.started_ns)),
        ("Ended", local_time(run.ended_ns) if run.ended_ns else ""),
        ("Took", format_duration(run.duration_ns) if run.ended_ns else ""),
        ("Verification", "" if run.verdict is None else verdict_words(run.verdict)),
    ]
    pairs += [(name, _count(name, count)) for name, count in run.counters.items() if count]
    return [(name, value) for name, value in pairs if value]


def failure_words(settings: Settings, run: RunRecord) -> str:
    """Why the run failed, on one line, with the paths that this command knows."""
    message = revealed(run.failure_message)
    if run.kind is RunKind.BACKUP and run.host == settings.host:
        for placeholder, path in veiled_roots(settings, run.source):
            message = message.replace(placeholder, path)
    return " ".join(message.split())


def request_of(run: RunRecord) -> BackupRequest | RestoreRequest | VerifyRequest | None:
    """What the run was asked, as far as the journal has it in full; runs of older releases have it not."""
    kind = _REQUESTS.get(run.kind)
    if kind is None or not run.request:
        return None
    try:
        return msgspec.json.decode(run.request, type=kind)
    except msgspec.DecodeError:
        return None


def verdict_words(verdict: VerdictRecord) -> str:
    """`good (written): 12 packs, 1.2 MiB read`."""
    found = "good" if verdict.ok else f"{verdict.problem_count:,} PROBLEMS"
    read = [f"{verdict.blobs:,} blobs"] if verdict.blobs else []
    read += [f"{verdict.packs:,} packs"] if verdict.packs else []
    read += [f"{verdict.files:,} files"] if verdict.files else []
    read += [f"{format_bytes(verdict.bytes_read)} read"] if verdict.bytes_read else []
    return f"{found} ({verdict.level}){': ' if read else ''}{', '.join(read)}"


def added_bytes(run: RunRecord) -> int:
    """What a backup added to the repository, before compression."""
    return run.counters.get("data_added", run.counters.get("stored_data_added", 0))


def total_bytes(run: RunRecord) -> int:
    """The size of what was backed up or restored."""
    return run.counters.get("bytes_total", run.counters.get("selected_bytes_total", 0))


def error_count(run: RunRecord) -> int:
    """How many paths went wrong."""
    names = ("errors", "selected_errors", "stored_errors")
    return max(run.counters.get(name, 0) for name in names)


def _count(name: str, count: int) -> str:
    return f"{count:,} ({format_bytes(count)})" if name.startswith(_BYTE_COUNTERS) else f"{count:,}"


def _location(settings: Settings, name: str) -> str:
    try:
        return known_repository(settings, name).location
    except UsageError:
        return name


def _verdict(verdict: VerdictRecord) -> dict[str, object]:
    return {
        "level": verdict.level,
        "ok": verdict.ok,
        "blobs": verdict.blobs,
        "packs": verdict.packs,
        "files": verdict.files,
        "bytes_read": verdict.bytes_read,
        "problem_count": verdict.problem_count,
        "problems": list(verdict.problems),
    }

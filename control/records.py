"""Looks up a run of the journal by a person's word for it, as a document, and as the request that it was."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.contracts.identity import is_token, short_id
from holdfast.contracts.verbs import Resumable, is_resumable, verb_of
from holdfast.control.known_paths import KnownPaths
from holdfast.control.listing import FEWEST_DIGITS, ListedRun, RunList
from holdfast.control.names import location_of, subject_of
from holdfast.errors import UsageError
from holdfast.file_list import WRONG_ACTIONS, FileAction
from holdfast.service.journal.reasons import Reason, reason_of
from holdfast.service.journal.records import OutputRecord, RunRecord
from holdfast.service.settings.model import Settings
from holdfast.service.settings.suggestions import one_of
from holdfast.terms import RunKind, RunStatus

if TYPE_CHECKING:
    from holdfast.service.journal.journal import (
        Journal,  # it brings SQLAlchemy, which takes a quarter of a second to load
    )

TOLD_ACTIONS: Final = WRONG_ACTIONS | {FileAction.WARNING}
"""Which paths of a run are told of by themselves."""
_ENDED: Final = tuple(status for status in RunStatus if status is not RunStatus.RUNNING)


def find_record(journal: "Journal", name: str) -> RunRecord:
    """The run that a person means, however old it is; no server is asked.

    Raises:
        UsageError: none or several.
        JournalUnavailableError: the journal cannot be read.
    """
    candidates = [found] if (found := journal.run(name)) is not None else journal.runs(1, source=name)
    if not candidates:
        ending = journal.ending_with(name) if len(name) >= FEWEST_DIGITS else []
        candidates = [found for run_id in ending[:2] if (found := journal.run(run_id)) is not None]
    RunList(runs=[ListedRun.of(record) for record in candidates]).find(name)
    return candidates[0]


def find_backup(journal: "Journal", source: str) -> RunRecord | None:
    """The newest backup of a source that has ended, whatever else ran since; else its newest; None without any.

    Raises:
        JournalUnavailableError: the journal cannot be read.
    """
    ended = journal.runs(1, source=source, kind=RunKind.BACKUP, statuses=_ENDED)
    return next(iter(ended or journal.runs(1, source=source, kind=RunKind.BACKUP)), None)


def refuse_unknown_source(settings: Settings, journal: "Journal", name: str) -> None:
    """See that a source, or what else runs are of, is known here: by the settings, or by a run of the journal.

    Raises:
        UsageError: it is not.
        JournalUnavailableError: the journal cannot be read.
    """
    known = {*settings.sources, *settings.systems, *filter(None, journal.sources())}
    if name not in known:
        raise UsageError(
            f"no source is called {name!r}",
            hint=one_of(name, (one for one in known if not is_token(one)), "sources"),
        )


def document(settings: Settings, run: RunRecord) -> dict[str, object]:
    """A run for programs: everything that the journal has of it."""
    reason = why(settings, run)
    return {
        "run_id": run.run_id,
        "short_id": short_id(run.run_id),
        "kind": run.kind.value,
        "status": run.status.value,
        "repository": location_of(settings, run.repository),
        "source": run.source,
        "subject": subject_of(settings, run.kind, run.source, run.repository),
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
        "failure_message": "" if reason is None else reason.text,
        "next_step": "" if reason is None else reason.next_step,
        "resumes": run.resumes,
        "counters": dict(run.counters),
        "verdict": None if run.verdict is None else msgspec.to_builtins(run.verdict),
    }


def why(settings: Settings, run: RunRecord, hooks: Sequence[OutputRecord] = ()) -> Reason | None:
    """Why the run did not end well, with the paths that the settings of its own host know; None where it did.

    hooks: how its hooks ended, where that was looked up.
    """
    reason = reason_of(run, hooks)
    if reason is None or run.host != settings.host:
        return reason
    known = KnownPaths.of_run(settings, run.kind, run.repository, run.source)
    return Reason(text=known.shown_in(reason.text), next_step=known.shown_in(reason.next_step))


def request_of(run: RunRecord) -> Resumable | None:
    """What the run was asked, if it is one that another run can go on with."""
    verb = verb_of(run.kind)
    if not verb.resumable or run.kind is not verb.kind or not run.request:
        return None
    try:
        asked = msgspec.json.decode(run.request, type=verb.request)
    except msgspec.DecodeError:
        return None
    return asked if is_resumable(asked) else None

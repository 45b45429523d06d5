"""Chooses which earlier run is to be continued, from the journal's records, and says what its next attempt is asked.

A run of the same source is continued when it was cancelled or failed less than a day ago, or when the journal says
that it runs and no server knows of it (its database was lost). One that never got as far as opening its workspace
has nothing to continue; and one that failed by a fault of our own, continued, would most likely fail by it again: that
is tried once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

import holdfast.errors
from holdfast.contracts.identity import workflow_of
from holdfast.contracts.verbs import Resumable, verb_of
from holdfast.control.names import source_changed
from holdfast.control.records import request_of
from holdfast.control.requests import run_policy
from holdfast.errors import FencedError, HoldfastError, IntegrityError, RunStateError
from holdfast.service.journal.records import INTERRUPTED, RunRecord
from holdfast.service.settings.model import Settings
from holdfast.terms import RunKind, RunStatus
from holdfast.units import NS_PER_S

CONTINUED_WITHIN_NS: Final = 24 * 3600 * NS_PER_S
_ENDED_EARLY: Final = frozenset((RunStatus.CANCELLED, RunStatus.FAILED))
_OF_THE_RUN: Final = (IntegrityError, RunStateError, FencedError)
"""What the run itself relied on was not as it should be. Other errors of ours say that something outside was wrong."""


def to_continue(
    newest: RunRecord | None, *, is_open: bool, now_ns: int, only_lost: bool = False
) -> RunRecord | None:
    """The newest run of a subject, if the next run of that subject is to go on with it.

    is_open: whether the server knows an open workflow for the subject; then that one goes on by itself. only_lost:
    one that reached an end, whichever, is not continued; a restore is not: its target may have changed since.
    """
    if newest is None or is_open or not was_opened(newest):
        return None
    if newest.status is RunStatus.RUNNING:
        return newest
    if newest.verdict is not None:
        return None  # it took all its steps: what is asked now is a new one
    if only_lost or newest.status not in _ENDED_EARLY or now_ns - newest.ended_ns >= CONTINUED_WITHIN_NS:
        return None
    return None if newest.resumes and is_fault_of_ours(newest) else newest


def is_fault_of_ours(record: RunRecord) -> bool:
    """Whether the run failed by something that no person has to mend first."""
    if record.status is not RunStatus.FAILED or record.failure_kind == INTERRUPTED:
        return False
    kind = getattr(holdfast.errors, record.failure_kind, None)
    return not (isinstance(kind, type) and issubclass(kind, HoldfastError)) or issubclass(kind, _OF_THE_RUN)


def interrupted(records: Sequence[RunRecord], open_workflows: Collection[str]) -> list[RunRecord]:
    """The runs that `resume` may mean, in the order given: of each source the newest, if it did not reach its end.

    A run whose workflow is open is among them: it goes on once there is a worker. So is one that was stopped after a
    sound verdict: what is left of it is the removal of its workspace, and it was told that it goes on.
    """
    seen: set[tuple[RunKind, str, str]] = set()
    found: list[RunRecord] = []
    for record in records:
        subject = (record.kind, record.repository, _subject(record))
        if subject in seen:
            continue
        seen.add(subject)
        is_open = workflow_of(record.run_id) in open_workflows
        if not _is_resumable(record.kind) and not (is_open and _can_be_followed(record.kind)):
            continue
        ended_early = record.status in _ENDED_EARLY and was_opened(record) and not _is_damaged(record)
        if is_open or record.status is RunStatus.RUNNING or ended_early:
            found.append(record)
    return found


def _is_damaged(record: RunRecord) -> bool:
    return record.verdict is not None and not record.verdict.ok


def _is_resumable(kind: RunKind) -> bool:
    verb = verb_of(kind)
    return verb.resumable and verb.kind is kind


def _can_be_followed(kind: RunKind) -> bool:
    """Whether a run of one repository reports its progress: it begins again once it was interrupted."""
    verb = verb_of(kind)
    return verb.reports and "repository" in verb.required


def _subject(record: RunRecord) -> str:
    """What a run is about. Of a restore's token, the part that says what is restored: each request has its own rest."""
    return workflow_of(record.run_id) if record.kind is RunKind.RESTORE else record.source


def was_opened(record: RunRecord) -> bool:
    """Whether the run got as far as deciding what it compares with, or which snapshot it restores."""
    if record.resumes:
        return True
    if record.kind is RunKind.BACKUP:
        return bool(record.reason)
    if record.kind is RunKind.RESTORE:
        return bool(record.snapshot_id)
    return _is_resumable(record.kind)


def continued(settings: Settings, environ: Mapping[str, str], record: RunRecord) -> Resumable | None:
    """What a run was asked, as its continuation; None where the journal cannot tell.

    It begins again where it has nothing to go on with, or where its source is not what it was.
    """
    asked = request_of(record)
    if asked is None:
        return None
    as_it_was = was_opened(record) and not source_changed(settings, environ, record)
    return replace(asked, resume_run=record.workspace_id if as_it_was else "", policy=run_policy(settings))

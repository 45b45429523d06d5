"""Writes into the journal what a person did that is no run: a hold, its release, a snapshot taken back."""

import secrets
import time

from holdfast.contracts.identity import run_id, workflow_id
from holdfast.control.journal import open_journal
from holdfast.errors import JournalUnavailableError
from holdfast.ids import SnapshotId, to_hex
from holdfast.service.settings.model import RepositoryProfile
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.output import warn
from holdfast.terms import RunKind, RunStatus


def record_act(
    invocation: Invocation,
    repository: RepositoryProfile,
    act: str,
    *,
    by: str,
    reason: str,
    snapshot: SnapshotId | None = None,
    source: str = "",
) -> None:
    """Record an act under the kind of a forgetting; its strategy says which. A journal that fails is told."""
    from holdfast.service.journal.records import RunRecord  # noqa: PLC0415 - with SQLAlchemy, only for what is recorded

    settings, now_ns = invocation.settings, time.time_ns()
    subject = source or ("" if snapshot is None else to_hex(snapshot))
    named = workflow_id(RunKind.FORGET, settings.host, repository.name, f"{act} {subject}")
    record = RunRecord(
        run_id=run_id(named, secrets.token_hex(16)),
        kind=RunKind.FORGET,
        status=RunStatus.COMPLETE,
        repository=repository.name,
        source=source,
        host=settings.host,
        trigger_kind="person",
        trigger_by=by,
        strategy=act,
        reason=reason,
        snapshot_id="" if snapshot is None else to_hex(snapshot),
        started_ns=now_ns,
        ended_ns=now_ns,
    )
    try:
        open_journal(settings, invocation.environ).record(record)
    except JournalUnavailableError as error:
        warn(f"this is not in the journal, which cannot be written: {error.message}")

"""Messages of the workflows are turned into the journal's records."""

from dataclasses import replace
from typing import Final

import msgspec

from holdfast.backup.documents import Opening as BackupOpening
from holdfast.contracts.backup import LogInput, TriggerInput
from holdfast.contracts.common import Ending, RunRef, Trigger
from holdfast.contracts.drill import DrillRequest
from holdfast.contracts.guard import GuardRequest
from holdfast.contracts.restore import RestoreLogInput, RestoreTriggerInput
from holdfast.contracts.runs import RunRequest
from holdfast.ids import to_hex
from holdfast.restore.documents import Opening
from holdfast.restore.run import VerifyReport as RestoreVerifyReport
from holdfast.service.journal.records import RunRecord, VerdictRecord, backup_counters, counters_of
from holdfast.terms import RunKind, RunStatus
from holdfast.verify.report import VerifyReport

MAX_PROBLEMS_RECORDED: Final = 1_000


def run_record(
    run: RunRef,
    kind: RunKind,
    asked: RunRequest | DrillRequest | GuardRequest | Trigger,
    host: str,
    started_ns: int,
    ending: Ending | None = None,
) -> RunRecord:
    """Begin a record with what that of every run says. asked: what, or by whom alone. ending: None while it runs."""
    trigger = asked if isinstance(asked, Trigger) else asked.trigger
    return RunRecord(
        run_id=run.record_id,
        resumes=run.run_id if run.attempt else "",
        kind=kind,
        status=RunStatus.RUNNING if ending is None else ending.status,
        repository=run.repository,
        source=run.source,
        host=host,
        trigger_kind=trigger.kind.value,
        trigger_by=trigger.by,
        trigger_evidence=trigger.evidence,
        started_ns=started_ns,
        ended_ns=0 if ending is None else ending.ended_ns,
        failure_kind="" if ending is None else ending.failure_kind,
        failure_message="" if ending is None else ending.failure_message,
        request=_request_text(asked) if isinstance(asked, RunRequest) else "",
    )


def backup_begun(
    message: TriggerInput, opening: BackupOpening, *, host: str, source_digest: str
) -> RunRecord:
    """The first record of a backup."""
    record = run_record(message.run, RunKind.BACKUP, message.request, host, opening.started_ns)
    return replace(
        record,
        strategy=opening.strategy,
        reason=opening.reason,
        parent=to_hex(opening.parent),
        source_digest=source_digest,
    )


def backup_ended(message: LogInput, *, host: str) -> RunRecord:
    """The record of a backup that ended, however it did."""
    request, progress, committed = message.request, message.progress, message.committed
    opened = progress.opened
    snapshot = None if committed is None else committed.totals
    counters = {"pages": progress.pages_done, "shards": progress.shards_planned}
    counters |= backup_counters(progress.selected, progress.stored, snapshot)
    host = host if opened is None or not opened.host else opened.host
    record = run_record(message.run, RunKind.BACKUP, request, host, progress.started_ns, message.ending)
    return replace(
        record,
        strategy=request.strategy if opened is None else opened.strategy,
        reason="" if opened is None else opened.reason,
        parent="" if opened is None else opened.parent,
        snapshot_id="" if committed is None else committed.snapshot_id,
        counters=counters,
    )


def restore_begun(message: RestoreTriggerInput, opening: Opening, *, dry_run: bool, host: str) -> RunRecord:
    """The first record of a restore."""
    kind = RunKind.DRY_RUN if dry_run else RunKind.RESTORE
    record = run_record(message.run, kind, message.request, host, message.started_ns)
    return replace(record, snapshot_id=to_hex(opening.snapshot))


def restore_ended(message: RestoreLogInput, *, host: str) -> RunRecord:
    """The record of a restore that ended, however it did."""
    progress, opened = message.progress, message.progress.opened
    kind = RunKind.DRY_RUN if opened is not None and opened.dry_run else RunKind.RESTORE
    record = run_record(message.run, kind, message.request, host, progress.started_ns, message.ending)
    counters = {"pages": progress.pages_done, "shards": progress.shards_planned}
    return replace(
        record,
        snapshot_id="" if opened is None else opened.snapshot_id,
        counters=counters | counters_of(progress.totals),
    )


def backup_verdict(report: VerifyReport) -> VerdictRecord:
    """Say what verifying a snapshot found, with the first of its findings."""
    return VerdictRecord(
        level=report.level.value,
        ok=report.ok,
        blobs=report.blobs,
        packs=report.packs,
        files=report.files,
        bytes_read=report.bytes_read,
        problem_count=report.problem_count,
        problems=tuple(
            _finding(f"{problem.kind.value} {problem.what}", problem.path)
            for problem in report.problems[:MAX_PROBLEMS_RECORDED]
        ),
    )


def restore_verdict(report: RestoreVerifyReport, level: str) -> VerdictRecord:
    """Say what reading back a restored tree found, with the first of its findings."""
    return VerdictRecord(
        level=level,
        ok=report.ok,
        blobs=report.blobs,
        files=report.files,
        bytes_read=report.bytes_read,
        problem_count=report.problem_count,
        problems=tuple(_finding(what, path) for path, what in report.problems[:MAX_PROBLEMS_RECORDED]),
    )


def _finding(what: str, path: bytes) -> str:
    return f"{what}: {path.decode(errors='backslashreplace')}" if path else what


def _request_text(request: RunRequest) -> str:
    """Write down what was asked, as another run can be asked it when no server knows it."""
    asked = replace(request, progress=None, resume_run="")
    return msgspec.json.encode(asked).decode()

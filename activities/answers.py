"""The engine's results as the messages that workflows get: counts and ids, never a name or a list of files."""

from holdfast.backup.commit.commit import CommitOutcome
from holdfast.backup.documents import CommitResult
from holdfast.backup.opening import OpenedBackup
from holdfast.contracts.backup import BackupOpened, Committed
from holdfast.contracts.common import Verdict
from holdfast.errors import RunStateError
from holdfast.format.snapshot import Snapshot
from holdfast.format.tags import is_partial
from holdfast.ids import to_hex
from holdfast.restore.run import VerifyReport as RestoreVerifyReport
from holdfast.runs.plan import Page
from holdfast.terms import (
    RunStatus,
    SnapshotTotals,
    VerifyLevel,
)
from holdfast.verify.report import VerifyReport


def opened(backup: OpenedBackup, *, host: str, tell: bool) -> BackupOpened:
    """A backup run is open."""
    opening = backup.opening
    return BackupOpened(
        strategy=opening.strategy,
        reason=opening.reason,
        parent=to_hex(opening.parent),
        host=host,
        resumed=backup.resumed,
        finished_snapshot="" if backup.finished is None else to_hex(backup.finished),
        started_ns=opening.started_ns,
        tell=tell,
    )


def check_follows(page: Page, number: int, first_shard: int) -> None:
    """See that a page's shards have the numbers that the workflow counts with.

    Raises:
        RunStateError: they have not.
    """
    if page.first_shard != first_shard:
        raise RunStateError(f"page {number} of the run's plan does not follow from the one before it")


def committed(outcome: CommitOutcome) -> Committed:
    """The snapshot is written, or something must be done again."""
    result = outcome.result
    if result is None:
        return Committed(missing_shards=outcome.missing_shards, rescan=outcome.rescan)
    return _committed(result)


def _committed(result: CommitResult) -> Committed:
    status = RunStatus.PARTIAL if result.partial else RunStatus.COMPLETE
    return Committed(snapshot_id=result.snapshot.hex(), status=status, totals=result.totals)


def committed_before(snapshot_id: str, snapshot: Snapshot) -> Committed:
    """Say what the snapshot itself tells of a run that had written it earlier, when the run's documents are gone."""
    status = RunStatus.PARTIAL if is_partial(snapshot) else RunStatus.COMPLETE
    summary = snapshot.summary
    if summary is None:
        return Committed(snapshot_id=snapshot_id, status=status)
    return Committed(
        snapshot_id=snapshot_id,
        status=status,
        totals=SnapshotTotals(files=summary.total_files_processed, bytes_total=summary.total_bytes_processed),
    )


def backup_verdict(report: VerifyReport) -> Verdict:
    """Say what verifying a snapshot found."""
    return Verdict(
        level=report.level,
        ok=report.ok,
        blobs=report.blobs,
        packs=report.packs,
        files=report.files,
        bytes_read=report.bytes_read,
        problems=report.problem_count,
        first_problem_kind=report.problems[0].kind.value if report.problems else "",
    )


def restore_verdict(report: RestoreVerifyReport, level: VerifyLevel) -> Verdict:
    """Say what reading back a restored tree found."""
    return Verdict(
        level=level,
        ok=report.ok,
        blobs=report.blobs,
        files=report.files,
        bytes_read=report.bytes_read,
        problems=report.problem_count,
        first_problem_kind=report.problems[0][1] if report.problems else "",
    )

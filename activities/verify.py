"""The activities of a verification. Each is one engine operation, safe to run twice, at once, or late."""

from typing import Final

from holdfast.activities import answers, records, verify_records
from holdfast.activities.calls import EngineCall
from holdfast.activities.steps import Activities, Queues, step
from holdfast.activities.throttle import pace_of
from holdfast.contracts import names
from holdfast.contracts.common import RunInput, RunRef
from holdfast.contracts.runs import ShardInput
from holdfast.contracts.verify import (
    TreesChecked,
    VerifyFinished,
    VerifyLogInput,
    VerifyOpened,
    VerifyPlanInput,
    VerifyPlanned,
    VerifyTotals,
    VerifyTriggerInput,
)
from holdfast.ids import short, to_hex
from holdfast.repository.documents import load
from holdfast.runs.opening import close_run
from holdfast.verify.documents import REPORT, Report, VerifyRun
from holdfast.verify.finish import finish_verification
from holdfast.verify.opening import open_verification
from holdfast.verify.plan import plan_verification
from holdfast.verify.shard import read_shard
from holdfast.verify.share import parse_share
from holdfast.verify.trees import check_trees

_SHOWN_SNAPSHOTS: Final = 100


class VerifyActivities(Activities):
    """The verification's activities over the services of this process."""

    @step(names.TRIGGER_VERIFY)
    def trigger(self, message: VerifyTriggerInput, _: EngineCall) -> VerifyOpened:
        """Open the run and write the journal's first record."""
        self._services.begin_run(message.run.repository)
        request = message.request
        parse_share(request.share)
        order = self._services.verify_order(request.selection) if request.selection else None
        opening = open_verification(self._run(message.run), order, is_new=not request.resume_run)
        self._services.journal.record(verify_records.begun(message, host=self._services.host))
        return VerifyOpened(
            snapshots=tuple(map(to_hex, opening.snapshots)),
            latest=short(opening.latest) if opening.latest else "",
            ahead=tuple(map(short, opening.ahead)),
            tell=self._services.tells_of(request.selection),
            alias=self._services.alias(message.run.repository),
        )

    @step(names.CHECK_TREES)
    def trees(self, message: RunInput, call: EngineCall) -> TreesChecked:
        """Walk the trees."""
        result = check_trees(self._run(message.run), call.progress_of(0))
        return TreesChecked(blobs=result.blobs, files=result.files, problems=result.problem_count)

    @step(names.PLAN_VERIFY)
    def plan(self, message: VerifyPlanInput, _: EngineCall) -> VerifyPlanned:
        """Choose the packs and cut them into shards."""
        plan = plan_verification(
            self._run(message.run),
            parse_share(message.share),
            message.started_ns,
            shards_wanted=message.window,
        )
        return VerifyPlanned(
            shards=plan.shards,
            last=True,
            packs=plan.packs,
            bytes_total=plan.size_bytes,
            packs_of_repository=plan.packs_of_repository,
        )

    @step(names.VERIFY_SHARD, Queues.COPY)
    def read(self, message: ShardInput, call: EngineCall) -> VerifyTotals:
        """Read the packs of one shard."""
        result = read_shard(
            self._run(message.run),
            message.shard,
            call.progress_of(message.shard),
            pace_of(message.throttle),
        )
        return VerifyTotals(
            packs=result.packs,
            blobs=result.blobs,
            bytes_read=result.bytes_read,
            damaged_packs=len(result.damaged),
        )

    @step(names.FINISH_VERIFY)
    def finish(self, message: RunInput, call: EngineCall) -> VerifyFinished:
        """Say what all of it comes to; mark what is damaged, and let go of what was mended."""
        report = finish_verification(self._run(message.run), call.check)
        affected = report.affected_snapshots
        return VerifyFinished(
            verdict=answers.backup_verdict(report),
            damaged_packs=report.damaged_packs,
            damaged_blobs=report.damaged_blobs,
            mended_packs=report.mended_packs,
            lost_paths=report.lost_count,
            affected_snapshots=len(affected),
            first_affected=tuple(to_hex(snapshot) for snapshot in affected[:_SHOWN_SNAPSHOTS]),
        )

    @step(names.LOG_VERIFY)
    def log(self, message: VerifyLogInput, _: EngineCall) -> None:
        """Write the run's record, its verdict, and the paths that are lost; remove the workspace at the end of all."""
        self._services.journal.record(verify_records.ended(message, host=self._services.host))
        if message.finished is not None:
            self._log_report(message.run)
        if message.close:
            self._close(message.run)

    def _log_report(self, run: RunRef) -> None:
        report = load(self._run(run, looks=False).workspace, REPORT, Report)
        if report is None:
            return  # closed already: an earlier attempt has written all of it
        journal = self._services.journal
        journal.set_verdict(run.record_id, records.backup_verdict(report))
        if report.lost:
            journal.add_files(run.record_id, verify_records.lost_files(report))

    def _close(self, run: RunRef) -> None:
        close_run(self._run(run, looks=False).workspace)
        self._services.end_run(run.repository)

    def _run(self, ref: RunRef, *, looks: bool = True) -> VerifyRun:
        return VerifyRun(session=self._services.session(ref.repository, looks=looks), run_id=ref.run_id)

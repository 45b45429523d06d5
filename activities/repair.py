"""The activities of a repair. Each is one engine operation, safe to run twice, at once, or late."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from temporalio import activity

from holdfast.activities.calls import EngineCall
from holdfast.activities.hand_over import handed_over, server_clock
from holdfast.activities.records import run_record
from holdfast.activities.steps import Activities, Queues, async_step, step
from holdfast.contracts.common import RunInput, RunRef
from holdfast.contracts.repair import (
    FINISH_REPAIR,
    LOG_REPAIR,
    PLAN_REPAIR,
    REPAIR_SHARD,
    TRIGGER_REPAIR,
    RepairFinished,
    RepairLogInput,
    RepairOpened,
    RepairPlanned,
    RepairTotals,
    RepairTriggerInput,
)
from holdfast.contracts.runs import ShardInput
from holdfast.file_list import FileAction, FileRecord
from holdfast.ids import to_hex
from holdfast.repair.documents import REPORT, Opening, RepairOrder, RepairRun, Report
from holdfast.repair.opening import open_repair
from holdfast.repair.steps import finish_repair, look_at_shard, plan_repair
from holdfast.repository.documents import load
from holdfast.repository.lock_files import standing_locks
from holdfast.runs.opening import close_run, load_opening
from holdfast.service.journal.records import counters_of
from holdfast.service.settings.requests import read_request
from holdfast.terms import RunKind

_SHOWN_SNAPSHOTS: Final = 100


class RepairActivities(Activities):
    """The repair's activities over the services of this process."""

    @step(TRIGGER_REPAIR)
    def trigger(self, message: RepairTriggerInput, _: EngineCall) -> RepairOpened:
        """Open the run and write the journal's first record."""
        self._services.begin_run(message.run.repository)
        token = message.request.selection
        order = read_request(self._services.settings.state_dir, token, RepairOrder)
        opened = open_repair(self._run(message.run), order).order
        record = run_record(
            message.run, RunKind.REPAIR, message.request, self._services.host, message.started_ns
        )
        self._services.journal.record(replace(record, strategy=opened.kind.value))
        return RepairOpened(
            what=opened.kind,
            dry_run=opened.dry_run,
            tell=self._services.tells_of(token),
            alias=self._services.alias(message.run.repository),
        )

    @step(PLAN_REPAIR)
    def plan(self, message: RunInput, _: EngineCall) -> RepairPlanned:
        """Choose what is looked at, and cut it into shards."""
        page = plan_repair(self._run(message.run))
        return RepairPlanned(shards=page.shards, last=True, things=page.things, bytes_total=page.size_bytes)

    @step(REPAIR_SHARD, Queues.COPY)
    def look(self, message: ShardInput, call: EngineCall) -> RepairTotals:
        """Look at one shard."""
        result = look_at_shard(self._run(message.run), message.shard, call.progress_of(message.shard))
        return RepairTotals(
            things=result.done,
            bytes_read=result.bytes_read,
            damaged=len(result.damaged) + len(result.broken),
        )

    @async_step(FINISH_REPAIR)
    async def finish(self, message: RunInput, call: EngineCall) -> RepairFinished:
        """Change what is wrong, under the exclusive lock. Our own runs stand aside for that, where it can help."""
        run = await call.in_thread(lambda: self._run(message.run))
        async with contextlib.AsyncExitStack() as stack:
            if await call.in_thread(lambda: _is_helped(run)):
                asking = handed_over(
                    activity.client(),
                    run.session.repository.alias,
                    by=activity.info().workflow_id or "",
                    what_for="a repair",
                    now_ns=server_clock(),
                )
                await stack.enter_async_context(asking)
            return await call.in_thread(lambda: _finished(finish_repair(run, call.check)))

    @step(LOG_REPAIR)
    def log(self, message: RepairLogInput, _: EngineCall) -> None:
        """Write the run's record, and the paths that are lacking; remove the workspace at the end of all."""
        ref, progress, finished = message.run, message.progress, message.finished
        record = run_record(
            ref, RunKind.REPAIR, message.request, self._services.host, progress.started_ns, message.ending
        )
        counters = counters_of(progress.totals) | ({} if finished is None else _counters(finished))
        what = "" if progress.opened is None else progress.opened.what.value
        self._services.journal.record(replace(record, strategy=what, counters=counters))
        if finished is not None:
            self._log_lacking(ref)
        if message.close:
            close_run(self._run(ref, looks=False).workspace)
            self._services.end_run(ref.repository)

    def _log_lacking(self, ref: RunRef) -> None:
        report = load(self._run(ref, looks=False).workspace, REPORT, Report)
        # None: closed already, an earlier attempt has written all of it
        if report is not None and report.paths:
            self._services.journal.add_files(ref.record_id, _lacking(report))

    def _run(self, ref: RunRef, *, looks: bool = True) -> RepairRun:
        return RepairRun(session=self._services.session(ref.repository, looks=looks), run_id=ref.run_id)


def _is_helped(run: RepairRun) -> bool:
    """Whether it helps that runs of ours stand aside: not where nothing is changed, or another program has a lock."""
    if load_opening(run.workspace, Opening).order.dry_run:
        return False
    return all(lock.process for lock in standing_locks(run.session.repository))


def _finished(report: Report) -> RepairFinished:
    repaired = report.snapshots_repaired
    return RepairFinished(
        packs_read=report.packs_read,
        packs_added=report.packs_added,
        packs_missing=report.packs_missing,
        packs_damaged=report.packs_damaged,
        packs_removed=report.packs_removed,
        blobs_lost=report.blobs_lost,
        index_files_removed=report.index_files_removed,
        index_files_written=report.index_files_written,
        snapshots_repaired=len(repaired),
        snapshots_removed=len(report.snapshots_removed),
        snapshots_left=len(report.snapshots_left),
        paths=report.path_count,
        first_repaired=tuple(to_hex(old) for old, _ in repaired[:_SHOWN_SNAPSHOTS]),
        first_new=tuple(to_hex(new) for _, new in repaired[:_SHOWN_SNAPSHOTS] if new),
    )


def _counters(finished: RepairFinished) -> dict[str, int]:
    names = (name for name in finished.__dataclass_fields__ if not name.startswith("first_"))
    return {name: getattr(finished, name) for name in names}


def _lacking(report: Report) -> Iterator[FileRecord]:
    for lost in report.paths:
        what = "with all below it, tree" if lost.whole else "blob"
        yield FileRecord(
            path=lost.path,
            action=FileAction.DAMAGED,
            size_bytes=lost.size_bytes,
            message=f"lacking in what replaces snapshot {lost.newest}: {what} {lost.blob[:8] or '-'}",
        )

"""A forgetting's activities: decide what goes, put it into the bin, write the record."""

import time
from collections.abc import Iterator
from dataclasses import replace

from holdfast.activities import records
from holdfast.activities.calls import EngineCall
from holdfast.activities.steps import Activities, step
from holdfast.contracts import names
from holdfast.contracts.common import Ending, RunInput, RunRef
from holdfast.contracts.forget import (
    ForgetLogInput,
    ForgetOpened,
    ForgetRequest,
    ForgetTriggerInput,
    Forgotten,
)
from holdfast.file_list import FileAction, FileRecord
from holdfast.ids import to_hex
from holdfast.repository.documents import load
from holdfast.repository.layout import SNAPSHOTS
from holdfast.retention.documents import REPORT, ForgetOrder, ForgetReport, Opening
from holdfast.retention.forget import ForgetRun, carry_out, open_forgetting
from holdfast.runs.opening import OPENING, close_run
from holdfast.service.journal.proofs import proofs
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.retention import rules_of
from holdfast.terms import RunKind


class ForgetActivities(Activities):
    """The activities over the services of this process."""

    @step(names.TRIGGER_FORGET)
    def trigger(self, message: ForgetTriggerInput, call: EngineCall) -> ForgetOpened:
        """Decide what goes, and write the journal's first record."""
        request, run = message.request, message.run
        self._services.begin_run(run.repository)
        opening = open_forgetting(
            self._run(run),
            self._order(request, run.run_id),
            rules_of(self._services.settings, run.repository),
            proofs(self._services.journal.journal, run.repository),
            now_ns=message.started_ns,
            by=request.trigger.by,
            check=call.check,
        )
        self._services.journal.record(self._record(run, request, message.started_ns))
        return ForgetOpened(
            going=len(opening.going), stays=opening.stays, tell=self._services.tells_of(request.source)
        )

    @step(names.FORGET_SNAPSHOTS)
    def forget(self, message: RunInput, call: EngineCall) -> Forgotten:
        """Put into the bin what was decided."""
        forgetting = self._run(message.run)
        report = carry_out(forgetting, now_ns=time.time_ns(), on_forgotten=lambda _: call.check())
        opening = load(forgetting.workspace, OPENING, Opening)
        return Forgotten(
            forgotten=len(report.forgotten),
            spared=len(report.spared),
            emptied=report.emptied,
            bin_s=0.0 if opening is None else opening.bin_s,
        )

    @step(names.LOG_FORGET)
    def log(self, message: ForgetLogInput, _: EngineCall) -> None:
        """Write the run's record, and what became of each snapshot."""
        run, journal = message.run, self._services.journal
        record = self._record(run, message.request, message.started_ns, message.ending)
        opened, done = message.opened, message.done
        counters = {} if opened is None else {"going": opened.going, "stays": opened.stays}
        if done is not None:
            counters |= {"forgotten": done.forgotten, "spared": done.spared, "emptied": done.emptied}
        journal.record(replace(record, counters=counters))
        workspace = self._run(run).workspace
        report = load(workspace, REPORT, ForgetReport)
        opening = load(workspace, OPENING, Opening)
        if report is not None and opening is not None:
            journal.add_files(run.record_id, _files(opening, report))
        if message.close:
            close_run(workspace)
            self._services.end_run(run.repository)

    def _order(self, request: ForgetRequest, run_id: str) -> ForgetOrder:
        if not request.selection:
            return ForgetOrder(source=request.source)
        return self._services.take_forget(request.selection, run_id)

    def _record(
        self, run: RunRef, request: ForgetRequest, started_ns: int, ending: Ending | None = None
    ) -> RunRecord:
        host = self._services.host
        return records.run_record(run, RunKind.FORGET, request.trigger, host, started_ns, ending)

    def _run(self, run: RunRef) -> ForgetRun:
        return ForgetRun(session=self._services.session(run.repository), run_id=run.run_id)


def _files(opening: Opening, report: ForgetReport) -> Iterator[FileRecord]:
    """What became of each snapshot: its file is gone, or was left alone."""
    why = {going.snapshot: going.reason for going in opening.going}
    for snapshot_id in report.forgotten:
        yield FileRecord(
            path=f"{SNAPSHOTS}/{to_hex(snapshot_id)}".encode(),
            action=FileAction.DELETED,
            size_bytes=0,
            message=why.get(snapshot_id, ""),
        )
    for spared in report.spared:
        yield FileRecord(
            path=f"{SNAPSHOTS}/{to_hex(spared.snapshot)}".encode(),
            action=FileAction.WARNING,
            size_bytes=0,
            message=spared.reason,
        )

"""The backup workflow: trigger, select, execute, log, verify.

Pages of the walk are selected one after the other while shards of the pages before are stored, at most
`policy.window` at a time. When all is stored, a commit writes the snapshot, or says what must be done again
first:

- shards whose blobs are gone from the index (somebody pruned): they are stored again;
- blobs on which unchanged files rely are gone: everything is selected again, in a new generation.

Everything that is decided lies in the run's workspace. The workflow only counts, so it can be continued as
new, or be started again under `resume_run`, at any point: activities recognise what is done already.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

from contracts import names
from contracts.backup import (
    BackupOpened,
    BackupProgress,
    BackupRequest,
    BackupResult,
    CommitInput,
    Committed,
    LogInput,
    PageSelected,
    SelectInput,
    SelectionTotals,
    ShardStored,
    StoreInput,
    TriggerInput,
)
from contracts.common import (
    BACKUP_WORKFLOW,
    ERRORS_QUERY,
    PLAN_QUERY,
    PROGRESS_QUERY,
    CloseInput,
    Errors,
    Phase,
    Plan,
    Progress,
    RunRef,
    RunStatus,
    Verdict,
    VerifyInput,
    VerifyLevel,
)
from contracts.notify import NotifyInput
from workflows.attributes import show_run
from workflows.both_ends import take, with_page
from workflows.control import RunControl, SteeredWorkflow
from workflows.details import control_notes, pace_of, render
from workflows.failures import failure_of
from workflows.hooks import HookCalls, failed_before, hook_notes, judged, prevented
from workflows.notices import tell_end
from workflows.pacing import Pacing
from workflows.policies import ActivityCalls
from workflows.run_id import run_id_of
from workflows.window import Work, run_window

MAX_GENERATIONS: Final = 4
MAX_COMMITS: Final = 10


@workflow.defn(name=BACKUP_WORKFLOW)
class BackupWorkflow(SteeredWorkflow):
    """One backup of one source into one repository."""

    @workflow.init
    def __init__(self, request: BackupRequest) -> None:
        self._request = request
        self._progress = request.progress or _first_progress(request)
        self._control = RunControl(self._progress.control)
        self._calls = ActivityCalls(policy=request.policy, control=self._control)
        self._pacing = Pacing(request.policy)
        self._phase = Phase.TRIGGER
        self._status = RunStatus.RUNNING
        self._selecting = False
        self._storing = 0
        self._committed: Committed | None = None
        self._verdict: Verdict | None = None

    @workflow.run
    async def run(self, request: BackupRequest) -> BackupResult:
        """Run to the end. Fails with the type and message of the error that no retry can help.

        A run that was cancelled through the update or signal ends with a result that says so.
        """
        self._steerable()
        try:
            return await self._backup(request)
        except (FailureError, asyncio.CancelledError) as error:
            # Cancellation is delivered once per run, so what follows it here is not cancelled in its turn.
            cancelled = is_cancelled_exception(error)
            await self._end_early(RunStatus.CANCELLED if cancelled else RunStatus.FAILED, error)
            if cancelled and self._control.state.cancel is not None:
                return self._cancelled_result()
            if cancelled:
                raise
            raise failure_of(error).as_workflow_failure() from error

    @workflow.query(name=PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where the run stands; bytes of shards that are not finished are in their heartbeats."""
        selected, stored = self._progress.selected, self._progress.stored
        known = selected.bytes_total - selected.bytes_to_read
        rate, left = pace_of(
            workflow.time_ns() - (self._progress.begun_ns or self._progress.started_ns),
            done=stored.bytes_read - stored.bytes_reread,
            total=selected.bytes_to_read if self._progress.selection_complete else None,
        )
        return Progress(
            run_id=self._progress.run_id,
            phase=self._phase,
            status=self._status,
            selection_complete=self._progress.selection_complete,
            files_total=selected.files_new + selected.files_changed + selected.files_unmodified,
            files_done=selected.files_unmodified + stored.files,
            bytes_total=selected.bytes_total,
            bytes_done=min(selected.bytes_total, known + stored.bytes_read - stored.bytes_reread),
            shards_total=self._progress.shards_planned,
            shards_done=self._progress.shards_done,
            errors=selected.errors + stored.errors,
            snapshot_id=self._committed.snapshot_id if self._committed is not None else "",
            paused=self._control.state.pause is not None,
            started_ns=self._progress.started_ns,
            bytes_per_second=rate,
            seconds_left=left,
        )

    @workflow.query(name=PLAN_QUERY)
    def plan(self) -> Plan:
        """What the run has decided to do so far."""
        opened, selected = self._progress.opened, self._progress.selected
        return Plan(
            strategy="" if opened is None else opened.strategy.value,
            reason="" if opened is None else opened.reason,
            parent="" if opened is None else opened.parent,
            selection_complete=self._progress.selection_complete,
            pages=self._progress.pages_done,
            shards=self._progress.shards_planned,
            files=selected.files_new + selected.files_changed + selected.files_unmodified,
            files_to_move=selected.files_to_read,
            bytes_to_move=selected.bytes_to_read,
        )

    @workflow.query(name=ERRORS_QUERY)
    def errors(self) -> Errors:
        """What went wrong so far, counted."""
        return Errors(
            selecting=self._progress.selected.errors,
            moving=self._progress.stored.errors,
            warnings=self._progress.stored.warnings,
            problems=0 if self._verdict is None else self._verdict.problems,
        )

    async def _backup(self, request: BackupRequest) -> BackupResult:
        opened = await self._trigger()
        await self._hooks_before(opened)
        committed = await self._reach_snapshot(opened)
        await self._hooks_after(committed.status)
        committed = self._committed = replace(
            committed, status=judged(committed.status, self._progress.hooks)
        )
        ended_ns = workflow.time_ns()
        self._enter(Phase.LOG)
        await self._calls.quick(
            names.LOG_BACKUP, self._log_input(committed.status, ended_ns), type(None), "write the record"
        )
        await self._verify(request.verify, committed.snapshot_id)
        await self._calls.quick(
            names.CLOSE_RUN,
            CloseInput(
                run=self._run_ref(),
                status=committed.status,
                ended_ns=ended_ns,
                verdict=self._verdict,
            ),
            type(None),
            "remove the workspace",
        )
        self._status = committed.status
        self._control.is_over = True
        self._enter(Phase.DONE)
        show_run(status=committed.status)
        await self._tell(committed.status, ended_ns)
        return self._result(opened, committed, ended_ns)

    async def _trigger(self) -> BackupOpened:
        if self._progress.opened is not None:
            return self._progress.opened
        show_run(source=self._request.source, status=RunStatus.RUNNING)
        self._enter(Phase.TRIGGER)
        opened = await self._calls.quick(
            names.TRIGGER_BACKUP,
            TriggerInput(run=self._run_ref(), request=self._request, started_ns=self._progress.started_ns),
            BackupOpened,
            "open the run",
        )
        self._progress = replace(
            self._progress, opened=opened, started_ns=opened.started_ns or self._progress.started_ns
        )
        show_run(strategy=opened.strategy)
        return opened

    async def _hooks_before(self, opened: BackupOpened) -> None:
        if self._progress.hooks_begun or opened.finished_snapshot:
            return
        self._progress = replace(self._progress, hooks_begun=True)
        done = await self._hook_calls().before(opened.before)
        self._progress = replace(self._progress, hooks=done)
        failed = failed_before(done)
        if failed is not None:
            raise prevented(failed)

    async def _hooks_after(self, status: RunStatus) -> None:
        """Run them whatever has happened, once those before have begun."""
        opened = self._progress.opened
        if opened is None or not self._progress.hooks_begun or self._progress.hooks_over:
            return
        done = await self._hook_calls().after(opened.after, status)
        self._progress = replace(self._progress, hooks_over=True, hooks=(*self._progress.hooks, *done))

    def _hook_calls(self) -> HookCalls:
        return HookCalls(
            run=self._run_ref(),
            heartbeat_timeout_s=self._request.policy.heartbeat_timeout_s,
            source=self._request.source,
        )

    async def _reach_snapshot(self, opened: BackupOpened) -> Committed:
        for _ in range(MAX_COMMITS):
            if not opened.finished_snapshot:
                await self._select_and_store()
            self._enter(Phase.EXECUTE)
            committed = await self._commit(opened)
            if committed.rescan:
                self._begin_generation()
            elif committed.missing_shards:
                await self._store_again(committed.missing_shards)
            else:
                self._committed = committed
                show_run(snapshot=committed.snapshot_id)
                return committed
        raise _unstable(f"blobs of this run were missing after each of {MAX_COMMITS} commits")

    async def _select_and_store(self) -> None:
        self._enter(Phase.EXECUTE if self._progress.selection_complete else Phase.SELECT)
        await run_window(self._next_work)
        if (
            not self._progress.selection_complete
            or self._progress.shards_done < self._progress.shards_planned
        ):
            self._continue_as_new()

    def _next_work(self) -> Work | None:
        if self._pacing.is_long():
            return None
        if not self._selecting and not self._progress.selection_complete:
            self._selecting = True
            return self._select_page()
        if self._storing >= (self._control.window or self._request.policy.window):
            return None
        shard = self._next_shard()
        if shard is None:
            return None
        self._storing += 1
        return self._store_planned(shard)

    def _next_shard(self) -> int | None:
        started, opened = self._progress.shards_started, self._progress.opened
        if opened is not None and opened.both_ends:
            taken = take(self._progress.shards_waiting, started)
            if taken is None:
                return None
            shard, waiting = taken
        elif started < self._progress.shards_planned:
            shard, waiting = started, ()
        else:
            return None
        self._progress = replace(self._progress, shards_started=started + 1, shards_waiting=waiting)
        return shard

    async def _select_page(self) -> None:
        page = self._progress.pages_done
        self._pacing.page_started()
        selected = await self._calls.quick(
            names.SELECT_PAGE,
            SelectInput(run=self._run_ref(), page=page, first_shard=self._progress.shards_planned),
            PageSelected,
            f"select page {page}",
        )
        self._selecting = False
        planned = self._progress.shards_planned
        self._progress = replace(
            self._progress,
            pages_done=page + 1,
            selection_complete=selected.last,
            shards_planned=planned + selected.shards,
            shards_waiting=with_page(self._progress.shards_waiting, planned, selected.shards),
            selected=self._progress.selected.plus(selected.totals),
        )
        self._enter(Phase.EXECUTE if selected.last else Phase.SELECT)

    async def _store_planned(self, shard: int) -> None:
        await self._store(shard)
        self._storing -= 1
        self._progress = replace(self._progress, shards_done=self._progress.shards_done + 1)
        self._show()

    async def _store(self, shard: int) -> None:
        self._pacing.shard_started()
        stored = await self._calls.copying(
            names.STORE_SHARD,
            lambda: StoreInput(run=self._run_ref(), shard=shard, throttle=self._control.state.throttle),
            ShardStored,
            f"shard {shard}",
        )
        self._progress = replace(self._progress, stored=self._progress.stored.plus(stored.totals))

    async def _store_again(self, shards: tuple[int, ...]) -> None:
        """Store shards whose blobs vanished. The next commit names those that are left when the history is
        long."""
        waiting: Iterator[int] = iter(shards)
        left = len(shards)

        async def store(shard: int) -> None:
            nonlocal left
            await self._store(shard)
            self._storing -= 1
            left -= 1
            self._show()

        def next_work() -> Work | None:
            window = self._control.window or self._request.policy.window
            if self._storing >= window or self._pacing.is_long():
                return None
            shard = next(waiting, None)
            if shard is None:
                return None
            self._storing += 1
            return store(shard)

        await run_window(next_work)
        if left:
            self._continue_as_new()

    async def _commit(self, opened: BackupOpened) -> Committed:
        return await self._calls.lasting(
            names.COMMIT_SNAPSHOT,
            CommitInput(
                run=self._run_ref(),
                request=replace(self._request, progress=None),
                opened=opened,
                started_ns=self._progress.started_ns,
                pages=self._progress.pages_done,
                shards=self._progress.shards_planned,
            ),
            Committed,
            "write the snapshot",
        )

    def _begin_generation(self) -> None:
        generation = self._progress.generation + 1
        if generation >= MAX_GENERATIONS:
            raise _unstable(f"blobs of the parent were missing after each of {MAX_GENERATIONS} selections")
        self._progress = replace(
            self._progress,
            generation=generation,
            pages_done=0,
            selection_complete=False,
            shards_planned=0,
            shards_started=0,
            shards_waiting=(),
            shards_done=0,
            selected=SelectionTotals(),
        )

    async def _verify(self, level: VerifyLevel, snapshot_id: str) -> None:
        if level is VerifyLevel.NONE:
            return
        self._enter(Phase.VERIFY)
        self._verdict = await self._calls.lasting(
            names.VERIFY_BACKUP,
            VerifyInput(
                run=self._run_ref(),
                snapshot_id=snapshot_id,
                level=level,
                pages=self._progress.pages_done,
                shards=self._progress.shards_planned,
            ),
            Verdict,
            f"verify: {level.value}",
        )

    async def _end_early(self, status: RunStatus, error: BaseException) -> None:
        """Leave a run that can be resumed, and a record that says how it ended; whatever of that is
        possible."""
        self._status = status
        self._control.is_over = True
        show_run(status=status)
        ended_ns = workflow.time_ns()
        kind = "" if status is RunStatus.CANCELLED else failure_of(error).kind
        try:
            await self._hooks_after(status)
            await self._calls.last_words(
                names.LOG_BACKUP, self._log_input(status, ended_ns, kind), f"record: {status.value}"
            )
            await self._calls.last_words(
                names.CLOSE_RUN,
                CloseInput(run=self._run_ref(), status=status, ended_ns=ended_ns, keep_workspace=True),
                "keep the workspace",
            )
        except FailureError as second:
            workflow.logger.warning("the end of the run could not be recorded: %s", failure_of(second).kind)
        self._show()
        await self._tell(status, ended_ns, kind)

    async def _tell(self, status: RunStatus, ended_ns: int, failure_kind: str = "") -> None:
        opened = self._progress.opened
        message = NotifyInput(
            run=self._run_ref(),
            kind="backup",
            status=status,
            started_ns=self._progress.started_ns,
            ended_ns=ended_ns,
            failure_kind=failure_kind,
        )
        await tell_end(
            message,
            wanted=None if opened is None else opened.tell,
            heartbeat_timeout_s=self._request.policy.heartbeat_timeout_s,
        )

    def _log_input(self, status: RunStatus, ended_ns: int, failure_kind: str = "") -> LogInput:
        return LogInput(
            run=self._run_ref(),
            request=replace(self._request, progress=None),
            status=status,
            started_ns=self._progress.started_ns,
            ended_ns=ended_ns,
            pages=self._progress.pages_done,
            shards=self._progress.shards_planned,
            opened=self._progress.opened,
            selected=self._progress.selected,
            stored=self._progress.stored,
            committed=self._committed,
            failure_kind=failure_kind,
        )

    def _result(self, opened: BackupOpened, committed: Committed, ended_ns: int) -> BackupResult:
        return BackupResult(
            run_id=self._progress.run_id,
            status=committed.status,
            snapshot_id=committed.snapshot_id,
            parent=opened.parent,
            strategy=opened.strategy,
            reason=opened.reason,
            started_ns=self._progress.started_ns,
            ended_ns=ended_ns,
            selected=self._progress.selected,
            stored=self._progress.stored,
            tree_blobs=committed.tree_blobs,
            data_added=self._progress.stored.data_added + committed.data_added,
            data_added_packed=self._progress.stored.data_added_packed + committed.data_added_packed,
            files=committed.files,
            bytes_total=committed.bytes_total,
            errors=committed.errors,
            verdict=self._verdict,
            hooks=self._progress.hooks,
        )

    def _cancelled_result(self) -> BackupResult:
        opened = self._progress.opened
        return BackupResult(
            run_id=self._progress.run_id,
            status=RunStatus.CANCELLED,
            parent="" if opened is None else opened.parent,
            strategy=self._request.strategy if opened is None else opened.strategy,
            reason="" if opened is None else opened.reason,
            started_ns=self._progress.started_ns,
            ended_ns=workflow.time_ns(),
            selected=self._progress.selected,
            stored=self._progress.stored,
            hooks=self._progress.hooks,
        )

    def _run_ref(self) -> RunRef:
        return RunRef(
            run_id=self._progress.run_id,
            repository=self._request.repository,
            source=self._request.source,
            generation=self._progress.generation,
        )

    def _continue_as_new(self) -> None:
        """Go on in a new history; the window is drained, so every shard that was started is done."""
        progress = replace(self._progress, control=self._control.state)
        workflow.continue_as_new(replace(self._request, progress=progress))

    def _on_control(self) -> None:
        show_run(status=self._status, paused=self._control.state.pause is not None)
        self._show()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._show()

    def _show(self) -> None:
        opened = self._progress.opened
        notes = [] if opened is None else [f"Strategy: {opened.strategy.value} ({opened.reason})"]
        if self._verdict is not None:
            notes.append(
                f"Verified ({self._verdict.level.value}): {'good' if self._verdict.ok else 'PROBLEMS'}"
            )
        notes += hook_notes(self._progress.hooks)
        notes += control_notes(self._control.state)
        elapsed_ns = workflow.time_ns() - self._progress.begun_ns
        workflow.set_current_details(render(self.progress(), elapsed_ns=elapsed_ns, notes=notes))


def _first_progress(request: BackupRequest) -> BackupProgress:
    now_ns = workflow.time_ns()
    return BackupProgress(run_id=run_id_of(request.resume_run), started_ns=now_ns, begun_ns=now_ns)


def _unstable(message: str) -> ApplicationError:
    hint = "something removes data from the repository while backups run; stop it, then resume the run"
    return ApplicationError(f"{message}\n{hint}", type="RunStateError", non_retryable=True)

"""A backup from its opening to its snapshot: pages of the walk beside a window of shards, then the commit.

Pages are selected one after the other while shards of the pages before are stored, at most `policy.window` at a time.
When all is stored, a commit writes the snapshot, or says what must be done again first:

- shards whose blobs are gone from the index (after a prune): they are stored again;
- blobs on which unchanged files rely are gone: everything is selected again, in a new generation.

Everything that is decided lies in the run's workspace. What is counted here is what a new history goes on from.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from holdfast.contracts import names
from holdfast.contracts.backup import (
    BackupOpened,
    BackupProgress,
    BackupRequest,
    BackupResult,
    CommitInput,
    Committed,
    PageSelected,
)
from holdfast.contracts.common import Phase, RunRef
from holdfast.contracts.runs import PlanInput, SelectInput, ShardInput
from holdfast.terms import SelectionTotals, StoredTotals
from holdfast.workflows.attributes import show_run
from holdfast.workflows.both_ends import take, with_page
from holdfast.workflows.run_id import run_id_of
from holdfast.workflows.sharded_run import ShardedRun
from holdfast.workflows.window import Work, run_window

MAX_GENERATIONS: Final = 4
MAX_COMMITS: Final = 10


class BackupExecution(ShardedRun[BackupResult, BackupRequest, BackupProgress]):
    """The steps of a backup that move bytes, and what they count."""

    def __init__(self, request: BackupRequest) -> None:
        self._committed: Committed | None = None
        super().__init__(request, request.progress or _first_progress(request))

    @property
    def _subject(self) -> str:
        return self._request.source

    async def _reach_snapshot(self, opened: BackupOpened) -> Committed:
        for _ in range(MAX_COMMITS):
            if not opened.finished_snapshot:
                await self._plan_and_move()
            self._enter(Phase.EXECUTE)
            committed = await self._commit_and_list(opened)
            if committed.rescan:
                self._begin_generation()
            elif committed.missing_shards:
                await self._store_again(committed.missing_shards)
            else:
                self._committed = committed
                show_run(snapshot=committed.snapshot_id)
                return committed
        raise _unstable(f"blobs of this run were missing after each of {MAX_COMMITS} commits")

    def _next_shard(self) -> int | None:
        taken = take(self._progress.shards_waiting, self._progress.shards_started)
        if taken is None:
            return None
        shard, waiting = taken
        started = self._progress.shards_started + 1
        self._progress = replace(self._progress, shards_started=started, shards_waiting=waiting)
        return shard

    async def _plan_page(self, message: SelectInput) -> PageSelected:
        selected = await self._calls.quick(
            names.SELECT_PAGE, message, PageSelected, f"select page {message.page}"
        )
        self._progress = replace(
            self._progress,
            shards_waiting=with_page(self._progress.shards_waiting, message.first_shard, selected.shards),
            selected=self._progress.selected.plus(selected.totals),
        )
        return selected

    async def _move(self, message: Callable[[], ShardInput], summary: str) -> None:
        stored = await self._calls.copying(names.STORE_SHARD, message, StoredTotals, summary)
        self._progress = replace(self._progress, stored=self._progress.stored.plus(stored))

    async def _store_again(self, shards: tuple[int, ...]) -> None:
        """Store shards whose blobs vanished. The next commit names those that are left when the history is long."""
        waiting = list(shards)

        async def store(shard: int) -> None:
            await self._move_shard(shard)
            self._show()

        def next_work() -> Work | None:
            if not waiting or self._moving >= self._window or self._is_long():
                return None
            return store(self._begun(waiting.pop(0)))

        await run_window(next_work)
        if waiting:
            self._continue_as_new()

    async def _commit_and_list(self, opened: BackupOpened) -> Committed:
        """Both at once, each in a process of its own where there are two: the copy queue sees to that."""
        message = CommitInput(
            run=self._run_ref(),
            request=replace(self._request, progress=None),
            opened=opened,
            started_ns=self._progress.started_ns,
            pages=self._progress.pages_done,
            shards=self._progress.shards_planned,
        )
        summary = "write the snapshot"
        if not message.pages:
            return await self._calls.lasting(names.COMMIT_SNAPSHOT, message, Committed, summary)
        answers: list[Committed] = []

        async def commit() -> None:
            committed = await self._calls.copying(names.COMMIT_SNAPSHOT, lambda: message, Committed, summary)
            answers.append(committed)
            if committed.snapshot_id:
                self._committed = committed  # also for the record of a run that ends before its list does

        async def list_files() -> None:
            listing = PlanInput(run=message.run, pages=message.pages, shards=message.shards)
            await self._calls.copying(names.LIST_FILES, lambda: listing, type(None), "list the files")

        work = iter((commit, list_files))
        await run_window(lambda: None if (begin := next(work, None)) is None else begin())
        return answers[0]

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

    def _run_ref(self) -> RunRef:
        return replace(super()._run_ref(), generation=self._progress.generation)


def _first_progress(request: BackupRequest) -> BackupProgress:
    now_ns = workflow.time_ns()
    return BackupProgress(run_id=run_id_of(request.resume_run), started_ns=now_ns, begun_ns=now_ns)


def _unstable(message: str) -> ApplicationError:
    hint = "something removes data from the repository while backups run; stop it, then resume the run"
    return ApplicationError(f"{message}\n{hint}", type="RunStateError", non_retryable=True)

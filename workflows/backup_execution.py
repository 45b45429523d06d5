"""A backup from its opening to its snapshot: pages of the walk beside a window of shards, then the commit.

Pages are selected one after the other while shards of the pages before are stored, at most `policy.window` at a time.
When all is stored, a commit writes the snapshot, or says what must be done again first:

- shards whose blobs are gone from the index (somebody pruned): they are stored again;
- blobs on which unchanged files rely are gone: everything is selected again, in a new generation.

Everything that is decided lies in the run's workspace. What is counted here is what a new history goes on from.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from contracts import names
from contracts.backup import (
    BackupOpened,
    BackupProgress,
    BackupRequest,
    BackupResult,
    CommitInput,
    Committed,
    ListInput,
    PageSelected,
    SelectInput,
    SelectionTotals,
    ShardStored,
    StoreInput,
)
from contracts.common import Phase, RunRef
from workflows.attributes import show_run
from workflows.both_ends import take, with_page
from workflows.run_frame import SteeredRun
from workflows.run_id import attempt_of, run_id_of
from workflows.window import Work, run_window

MAX_GENERATIONS: Final = 4
MAX_COMMITS: Final = 10


class BackupExecution(SteeredRun[BackupResult]):
    """The steps of a backup that move bytes, and what they count."""

    _progress: BackupProgress

    def __init__(self, request: BackupRequest) -> None:
        self._request = request
        self._progress = request.progress or _first_progress(request)
        self._selecting = False
        self._storing = 0
        self._committed: Committed | None = None
        super().__init__(request.policy, self._progress.control)

    async def _reach_snapshot(self, opened: BackupOpened) -> Committed:
        for _ in range(MAX_COMMITS):
            if not opened.finished_snapshot:
                await self._select_and_store()
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
        if self._storing >= self._window:
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
            if self._storing >= self._window or self._pacing.is_long():
                return None
            shard = next(waiting, None)
            if shard is None:
                return None
            self._storing += 1
            return store(shard)

        await run_window(next_work)
        if left:
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
        if not opened.lists_apart or not message.pages:
            return await self._calls.lasting(names.COMMIT_SNAPSHOT, message, Committed, summary)
        answers: list[Committed] = []

        async def commit() -> None:
            committed = await self._calls.copying(names.COMMIT_SNAPSHOT, lambda: message, Committed, summary)
            answers.append(committed)
            if committed.snapshot_id:
                self._committed = committed  # also for the record of a run that ends before its list does

        async def list_files() -> None:
            listing = ListInput(run=message.run, pages=message.pages, shards=message.shards)
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
        return RunRef(
            run_id=self._progress.run_id,
            repository=self._request.repository,
            source=self._request.source,
            generation=self._progress.generation,
            attempt=attempt_of(self._progress.run_id),
        )

    def _continue_as_new(self) -> None:
        """Go on in a new history; the window is drained, so every shard that was started is done."""
        progress = replace(self._progress, control=self._control.state)
        workflow.continue_as_new(replace(self._request, progress=progress))


def _first_progress(request: BackupRequest) -> BackupProgress:
    now_ns = workflow.time_ns()
    return BackupProgress(run_id=run_id_of(request.resume_run), started_ns=now_ns, begun_ns=now_ns)


def _unstable(message: str) -> ApplicationError:
    hint = "something removes data from the repository while backups run; stop it, then resume the run"
    return ApplicationError(f"{message}\n{hint}", type="RunStateError", non_retryable=True)

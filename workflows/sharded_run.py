"""A run that plans in pages, works in shards beside that, and goes on in new histories: the frame of such verbs.

The workflow only counts; what is decided and done lies in the run's workspace, where activities recognise it. So a run
can be continued as new, or be started again under `resume_run`, at any point.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Generic, TypeVar

from temporalio import workflow

from holdfast.contracts.common import Ending, Phase, RunRef, Verdict
from holdfast.contracts.runs import (
    PagePlanned,
    RunOpened,
    RunProgress,
    RunRequest,
    SelectInput,
    ShardInput,
    VerifyInput,
)
from holdfast.terms import RunStatus, VerifyLevel
from holdfast.workflows.attributes import show_run
from holdfast.workflows.run_frame import SteeredRun
from holdfast.workflows.run_id import attempt_of
from holdfast.workflows.window import Work, run_window

ResultT = TypeVar("ResultT")
RequestT = TypeVar("RequestT", bound=RunRequest)
ProgressT = TypeVar("ProgressT", bound=RunProgress)
OpenedT = TypeVar("OpenedT", bound=RunOpened)


class ShardedRun(SteeredRun[ResultT], Generic[ResultT, RequestT, ProgressT]):
    """A run with pages and shards. A workflow adds its steps, and what they count."""

    _log: ClassVar[str]
    """The activity that writes the record."""

    def __init__(self, request: RequestT, progress: ProgressT) -> None:
        self._request = request
        self._progress = progress
        self._selecting = False
        self._moving = 0
        self._steps_begun = 0
        self._verdict: Verdict | None = None
        super().__init__(request.policy, progress.control)

    @property
    @abstractmethod
    def _subject(self) -> str:
        """The source or the selection."""

    @abstractmethod
    def _record(self, ending: Ending) -> object:
        """The message that asks for the journal's record."""

    @abstractmethod
    async def _plan_page(self, message: SelectInput) -> PagePlanned:
        """Have a page planned, and add its counts."""

    @abstractmethod
    async def _move(self, message: Callable[[], ShardInput], summary: str) -> None:
        """Have a shard done, and add its counts. The message is asked for whenever that is begun again."""

    @property
    def _started_ns(self) -> int:
        return self._progress.started_ns

    @property
    def _tells(self) -> bool:
        opened = self._progress.opened
        return opened is None or opened.tell

    @property
    def _window(self) -> int:
        """Activities that may move bytes at one time."""
        return self._control.window or self._request.policy.window

    async def _open(self, name: str, message: object, kind: type[OpenedT], *, source: str = "") -> OpenedT:
        """Open the run, once for all its histories. source: to be shown, where it has one."""
        standing = self._progress.opened
        if isinstance(standing, kind):
            return standing
        show_run(source=source, status=RunStatus.RUNNING)
        self._enter(Phase.TRIGGER)
        opened = await self._calls.quick(name, message, kind, "open the run")
        self._progress = replace(self._progress, opened=opened)
        if opened.alias or opened.called:
            show_run(alias=opened.alias, source=opened.called)
        return opened

    async def _plan_and_move(self) -> None:
        """Have all shards done, while they are planned; in a new history once this one is long."""
        self._enter(Phase.EXECUTE if self._progress.selection_complete else Phase.SELECT)
        await run_window(self._next_work)
        if not self._progress.is_done:
            self._continue_as_new()

    def _next_work(self) -> Work | None:
        if self._is_long():
            return None
        if not self._selecting and not self._progress.selection_complete:
            self._selecting = True
            return self._select_page()
        shard = self._next_shard() if self._moving < self._window else None
        return None if shard is None else self._move_planned(self._begun(shard))

    def _next_shard(self) -> int | None:
        """The planned shard that is begun now; None where none waits."""
        shard = self._progress.shards_started
        if shard >= self._progress.shards_planned:
            return None
        self._progress = replace(self._progress, shards_started=shard + 1)
        return shard

    async def _select_page(self) -> None:
        page, planned = self._progress.pages_done, self._progress.shards_planned
        self._steps_begun += 1
        message = SelectInput(run=self._run_ref(), page=page, first_shard=planned)
        selected = await self._plan_page(message)
        self._selecting = False
        self._progress = replace(
            self._progress,
            pages_done=page + 1,
            selection_complete=selected.last,
            shards_planned=planned + selected.shards,
        )
        self._enter(Phase.EXECUTE if selected.last else Phase.SELECT)

    def _begun(self, shard: int) -> int:
        """The shard, which counts as under way from now on."""
        self._moving += 1
        self._steps_begun += 1
        return shard

    async def _move_planned(self, shard: int) -> None:
        await self._move_shard(shard)
        self._progress = replace(self._progress, shards_done=self._progress.shards_done + 1)
        self._show()

    async def _move_shard(self, shard: int) -> None:
        await self._move(
            lambda: ShardInput(run=self._run_ref(), shard=shard, throttle=self._control.state.throttle),
            f"shard {shard}",
        )
        self._moving -= 1

    async def _verify_snapshot(self, name: str, level: VerifyLevel, snapshot_id: str) -> None:
        if level is VerifyLevel.NONE:
            return
        self._enter(Phase.VERIFY)
        message = VerifyInput(
            run=self._run_ref(),
            pages=self._progress.pages_done,
            shards=self._progress.shards_planned,
            snapshot_id=snapshot_id,
            level=level,
        )
        self._verdict = await self._calls.lasting(name, message, Verdict, f"verify: {level.value}")

    async def _last_words(self, ending: Ending) -> None:
        """Leave a record that says how it ended. The workspace stays, for a run that resumes this one."""
        await self._calls.last_words(self._log, self._record(ending), f"record: {ending.status.value}")

    def _run_ref(self) -> RunRef:
        return RunRef(
            run_id=self._progress.run_id,
            repository=self._request.repository,
            source=self._subject,
            attempt=attempt_of(self._progress.run_id),
        )

    def _is_long(self) -> bool:
        """Whether nothing more should be begun in this history. Never so of one that has begun nothing yet."""
        most = self._request.policy.steps_per_history
        suggested = workflow.info().is_continue_as_new_suggested()
        return bool(self._steps_begun) and (suggested or self._steps_begun >= most > 0)

    def _continue_as_new(self) -> None:
        """Go on in a new history; the window is drained, so every shard that was started is done."""
        progress = replace(self._progress, control=self._control.state)
        workflow.continue_as_new(replace(self._request, progress=progress))

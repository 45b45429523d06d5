"""Runs as `status`, `cancel` and `resume` name them: the journal's records and what is open on the server."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from temporalio.client import Client

from control import runs
from control.journal import open_journal
from holdfast.errors import JournalUnavailableError, UsageError
from holdfast.terms import RunKind, RunStatus
from service.journal.records import RunRecord, workflow_of
from service.settings.model import Settings
from starter.requests.orders import describe_selection, describe_source, known_repository
from starter.shell.output import warn
from starter.view.progress import RunView, look
from workflows.attributes import PAUSED

_SHORT_LENGTH: Final = 8
_FEWEST_DIGITS: Final = 4
_INTERRUPTED: Final = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRun:
    """A run, from the journal (record), from the server (view: it is open there), or from both.

    One that the journal calls running and no server knows of is interrupted.
    """

    run_id: str
    kind: RunKind
    record: RunRecord | None = None
    view: RunView | None = None

    @property
    def workflow_id(self) -> str:
        """The workflow that carries it."""
        return workflow_of(self.run_id)

    @property
    def short_id(self) -> str:
        """What a person types: the end of its id, because Temporal's begin with the time."""
        return self.run_id[-_SHORT_LENGTH:]

    @property
    def status(self) -> str:
        """How it stands, or ended."""
        if self.view is not None:
            return PAUSED if self.view.paused else RunStatus.RUNNING.value
        if self.record is None or self.record.status is RunStatus.RUNNING:
            return _INTERRUPTED
        return self.record.status.value

    @property
    def repository(self) -> str:
        """The repository's name, as far as it is known."""
        return self.workflow_id.split(":")[2] if self.record is None else self.record.repository

    @property
    def subject(self) -> str:
        """The source or the selection, as far as it is known."""
        return self.workflow_id.rpartition(":")[2] if self.record is None else self.record.source


async def listed_runs(settings: Settings, client: Client | None, limit: int) -> list[ListedRun]:
    """The newest runs, those that are open on the server first of all."""
    records = journal_runs(settings, limit)
    opened = [] if client is None else await runs.open_runs(client)
    views = await asyncio.gather(*(_view(client, run) for run in opened if client is not None))
    running = dict(zip((run.workflow_id for run in opened), views, strict=True))
    found: list[ListedRun] = []
    for record in records:
        view = running.pop(workflow_of(record.run_id), None) if record.status is RunStatus.RUNNING else None
        found.append(ListedRun(run_id=record.run_id, kind=record.kind, record=record, view=view))
    unknown = [
        ListedRun(run_id=_run_id(run, running[run.workflow_id]), kind=run.kind, view=running[run.workflow_id])
        for run in opened
        if run.workflow_id in running
    ]
    return [*unknown, *found]


def journal_runs(settings: Settings, limit: int) -> list[RunRecord]:
    """The journal's newest runs; none, and a word about it, when it cannot be read."""
    try:
        return open_journal(settings).runs(limit)
    except JournalUnavailableError as error:
        warn(f"the journal cannot be read: {error.message}")
        return []


def find_run(listed: Sequence[ListedRun], name: str) -> ListedRun:
    """The run that a person means: its id or the end of that, or its source's name (then the newest).

    Raises:
        UsageError: none or several.
    """
    by_subject = [run for run in listed if name in {run.subject, run.workflow_id, run.run_id}]
    if by_subject:
        return by_subject[0]
    by_id = [run for run in listed if len(name) >= _FEWEST_DIGITS and run.run_id.endswith(name)]
    if len(by_id) > 1:
        raise UsageError(f"several runs end with {name!r}", hint="Give more digits of the id.")
    if by_id:
        return by_id[0]
    raise UsageError(f"no run and no source is called {name!r}", hint="`holdfast status` lists the runs.")


def describe(settings: Settings, run: ListedRun) -> str:
    """What is backed up, restored, checked or tried, in a person's words."""
    if run.kind in {RunKind.RESTORE, RunKind.DRY_RUN}:
        return describe_selection(settings, run.subject)
    return describe_source(settings, run.subject) if run.subject else location_of(settings, run)


def location_of(settings: Settings, run: ListedRun) -> str:
    """The repository's profile or location."""
    try:
        profile = known_repository(settings, run.repository)
    except UsageError:
        return run.repository
    return profile.location if profile.is_request else profile.name


async def _view(client: Client, run: runs.OpenRun) -> RunView:
    return await look(client, runs.handle_of(client, run.kind, run.workflow_id), RunView())


def _run_id(run: runs.OpenRun, view: RunView) -> str:
    """A worker knows the run's id; without one, that of its newest execution has to do."""
    if view.progress is not None:
        return view.progress.run_id
    return f"{run.workflow_id}/{run.workflow_run}"

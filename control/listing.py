"""Lists runs as `status`, `cancel` and `resume` name them: the journal's records and what is open on the server.

Cheap to import: Temporal's client, which takes a third of a second to load, comes where there is one already.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.contracts import identity
from holdfast.contracts.control import PAUSED
from holdfast.contracts.identity import workflow_of
from holdfast.control.journal import open_journal
from holdfast.control.known_paths import NO_PATHS, KnownPaths
from holdfast.errors import JournalUnavailableError, UsageError
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.model import Settings
from holdfast.service.waits import Wait
from holdfast.terms import RunKind, RunStatus

if TYPE_CHECKING:
    from temporalio.client import Client

    from holdfast.control.progress import RunView
    from holdfast.control.runs import OpenRun

SEARCHED: Final = 1000
"""How many of the newest runs a word for a run is looked for in."""
FEWEST_DIGITS: Final = 4
INTERRUPTED: Final = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRun:
    """A run, from the journal (record), from the server (view: it is open there), or from both.

    One that the journal calls running and no server knows of is interrupted.
    """

    run_id: str
    kind: RunKind
    record: RunRecord | None = None
    view: "RunView | None" = None

    @classmethod
    def of(cls, record: RunRecord, view: "RunView | None" = None) -> "ListedRun":
        """One that the journal has."""
        return cls(run_id=record.run_id, kind=record.kind, record=record, view=view)

    @property
    def workflow_id(self) -> str:
        """The workflow that carries it."""
        return workflow_of(self.run_id)

    @property
    def short_id(self) -> str:
        """What a person types."""
        return identity.short_id(self.run_id)

    @property
    def wait(self) -> Wait | None:
        """What it waits for; None of one that goes on, or is over."""
        return None if self.view is None else self.view.wait

    @property
    def status(self) -> str:
        """How it stands, or ended."""
        if self.view is not None:
            return PAUSED if self.view.paused else RunStatus.RUNNING.value
        if self.record is None or self.record.status is RunStatus.RUNNING:
            return INTERRUPTED
        return self.record.status.value

    @property
    def repository(self) -> str:
        """The repository's name, as far as it is known."""
        return self._about.repository if self.record is None else self.record.repository

    @property
    def subject(self) -> str:
        """The source or the selection, as far as it is known."""
        return self._about.subject if self.record is None else self.record.source

    @property
    def _about(self) -> identity.Identity:
        return identity.parse_workflow_id(self.workflow_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunList:
    """Runs, newest first, those that are open on the server first of all. unread: why the journal's are missing."""

    runs: Sequence[ListedRun]
    unread: str = ""

    def find(self, name: str) -> ListedRun:
        """The run that a person means: its id or the end of that, or its source's name (then the newest).

        Raises:
            UsageError: none or several.
        """
        by_subject = [run for run in self.runs if name in {run.subject, run.workflow_id, run.run_id}]
        if by_subject:
            return by_subject[0]
        by_id = [run for run in self.runs if len(name) >= FEWEST_DIGITS and run.run_id.endswith(name)]
        if len(by_id) > 1:
            raise UsageError(f"several runs end with {name!r}", hint="Give more digits of the id.")
        if by_id:
            return by_id[0]
        raise UsageError(f"no run and no source is called {name!r}", hint="`holdfast runs` lists the runs.")


async def list_runs(
    settings: Settings,
    environ: Mapping[str, str],
    client: "Client | None",
    limit: int = SEARCHED,
    *,
    statuses: Collection[RunStatus] = (),
) -> RunList:
    """The newest runs. client: None where no server runs. statuses: only those whose records say one of these.

    Raises:
        RPCError: the server does not answer as it should.
    """
    recorded = await asyncio.to_thread(journal_runs, settings, environ, limit, statuses)
    running = {} if client is None else await _open(client, settings)
    found: list[ListedRun] = []
    for run in recorded.runs:
        is_open = run.record is not None and run.record.status is RunStatus.RUNNING
        _, view = running.pop(run.workflow_id, (None, None)) if is_open else (None, None)
        found.append(run if view is None or run.record is None else ListedRun.of(run.record, view))
    unknown = [
        ListedRun(run_id=_run_id(run, view), kind=run.kind, view=view) for run, view in running.values()
    ]
    return RunList(runs=[*unknown, *found], unread=recorded.unread)


def journal_runs(
    settings: Settings,
    environ: Mapping[str, str],
    limit: int = SEARCHED,
    statuses: Collection[RunStatus] = (),
) -> RunList:
    """The journal's newest runs, for which no server is asked; none where it cannot be read."""
    try:
        records = open_journal(settings, environ).runs(limit, statuses=statuses)
        return RunList(runs=[ListedRun.of(record) for record in records])
    except JournalUnavailableError as error:
        return RunList(runs=[], unread=error.message)


async def _open(client: "Client", settings: Settings) -> "dict[str, tuple[OpenRun, RunView]]":
    """The runs that are open on the server and how they stand, newest first, by the ids of their workflows."""
    from holdfast.control import runs  # noqa: PLC0415 (see the module's docstring)
    from holdfast.control.progress import RunView, look  # noqa: PLC0415 - as above

    opened = await runs.open_runs(client)
    looks = (
        look(client, runs.handle_of(client, run.kind, run.workflow_id), RunView(), _paths_of(settings, run))
        for run in opened
    )
    views = await asyncio.gather(*looks)
    return {run.workflow_id: (run, view) for run, view in zip(opened, views, strict=True)}


def _paths_of(settings: Settings, run: "OpenRun") -> KnownPaths:
    """What a run of this host may show."""
    about = identity.parse_workflow_id(run.workflow_id)
    if about.host != settings.host:
        return NO_PATHS
    return KnownPaths.of_run(settings, run.kind, about.repository, about.subject)


def _run_id(run: "OpenRun", view: "RunView") -> str:
    """A worker knows the run's id; without one, that of its newest execution has to do."""
    if view.progress is not None:
        return view.progress.run_id
    return identity.run_id(run.workflow_id, run.workflow_run)

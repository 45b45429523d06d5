"""Surveys all sources: what the settings declare, what the journal knows, and what the server says now.

Each source of the settings has a line, whatever is known of it. The journal knows others: paths that were given on a
command line, sources that are no longer declared, those of other hosts that share it. These have a line for as long as
their last backup is not a month old.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.contracts.identity import parse_workflow_id, shown
from holdfast.control.journal import open_journal
from holdfast.control.listing import ListedRun, list_runs
from holdfast.control.standing.facts import Recorded, recorded
from holdfast.control.standing.state import Facts, Next, Standing, State, Subject, judge, worst_first
from holdfast.control.standing.times import next_times
from holdfast.service.settings.model import Settings
from holdfast.service.waits import Wait
from holdfast.terms import RunKind, RunStatus
from holdfast.units import NS_PER_S

if TYPE_CHECKING:
    from temporalio.client import Client

SHOWN_FOR_NS: Final = 30 * 86_400 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The standing of each source, worst first; the runs that are under way or interrupted; how many sources that the
    settings do not declare were left out."""

    standings: Sequence[Standing]
    under_way: Sequence[ListedRun]
    left_out: int = 0

    @property
    def worst(self) -> State:
        """The state of all together."""
        return min((one.state for one in self.standings), key=lambda state: state.rank, default=State.GOOD)


async def survey(
    settings: Settings,
    environ: Mapping[str, str],
    client: "Client | None",
    now_ns: int,
    *,
    everything: bool = False,
) -> Survey:
    """All sources as they stand at a moment. client: None where no server runs. everything: old ones as well.

    Raises:
        JournalUnavailableError: the journal cannot be read, so nothing is known.
        RPCError: the server does not answer as it should.
    """
    known = await asyncio.to_thread(lambda: recorded(open_journal(settings, environ), now_ns))
    runs = await list_runs(settings, environ, client, statuses=(RunStatus.RUNNING,))
    times = await next_times(client, settings)
    waiting = await _waiting(client, runs.runs)
    ages = {subject_of(settings, name): profile.max_age_s for name, profile in settings.sources.items()}
    others = [subject for subject in known.newest_ns if subject not in ages]
    recent = [one for one in others if everything or now_ns - known.newest_ns[one] <= SHOWN_FOR_NS]
    facts = [
        _facts(known, one, ages.get(one), times.get(one.source, Next()) if one in ages else Next(), waiting)
        for one in (*ages, *recent)
    ]
    return Survey(
        standings=sorted((judge(one, now_ns) for one in facts), key=worst_first),
        under_way=runs.runs,
        left_out=len(others) - len(recent),
    )


def subject_of(settings: Settings, source: str) -> Subject:
    """A source of the settings as the journal's records name it."""
    profile = settings.sources[source]
    return Subject(profile.repository, source, profile.host or settings.host)


def _facts(
    known: Recorded,
    subject: Subject,
    max_age_s: float | None,
    following: Next,
    waiting: Mapping[tuple[str, str], Wait],
) -> Facts:
    return Facts(
        subject=subject,
        good=known.good.get(subject),
        failures=known.failures.get(subject, ()),
        verified=known.verified(subject),
        proof=known.proofs.get((subject.repository, subject.source)),
        wait=waiting.get((shown(subject.repository), shown(subject.source)), following.wait),
        max_age_s=max_age_s,
        added_per_week=known.growth.get(subject),
        next=following,
    )


async def _waiting(client: "Client | None", runs: Sequence[ListedRun]) -> dict[tuple[str, str], Wait]:
    """Why the backup or guard of a source does not go on; by repository and source, as ids of workflows have them."""
    found: dict[tuple[str, str], Wait] = {}
    if client is not None:
        from holdfast.control.guard import waiting_guards  # noqa: PLC0415 - brings Temporal's client

        for guard in await waiting_guards(client):
            about = parse_workflow_id(guard.workflow_id)
            found[about.repository, about.subject] = guard.wait
    for run in runs:
        if run.kind is RunKind.BACKUP and run.wait is not None and run.wait.stands:
            found[shown(run.repository), shown(run.subject)] = run.wait
    return found

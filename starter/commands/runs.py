"""`holdfast runs` lists the journal's runs, newest first, and those as well that Temporal has forgotten."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.contracts.identity import short_id
from holdfast.control import records
from holdfast.control.journal import open_journal
from holdfast.control.names import location_of, repositories_at, subject_of
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.model import Settings
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.moments import parse_moment
from holdfast.starter.shell.options import CommonOptions, Texts, one_word
from holdfast.starter.shell.output import tell
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import local_time
from holdfast.starter.view import timeline
from holdfast.terms import RunKind, RunStatus
from holdfast.units import counted, format_bytes, format_duration

_KINDS = tuple(kind.value for kind in RunKind)
_STATUSES = tuple(status.value for status in RunStatus)
_COLUMNS = (
    Column("Run"),
    Column("Kind", 4),
    Column("Status", 0, Kind.STATE),
    Column("What", 1, Kind.PATH),
    Column("Repository", 6, Kind.PATH),
    Column("Started", 2, Kind.TIME),
    Column("Took", 5, Kind.NUMBER),
    Column("Size", 8, Kind.NUMBER),
    Column("Added", 7, Kind.NUMBER),
    Column("Result", 3, Kind.STATE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsOptions(CommonOptions):
    """Options of `runs`. --repo, a common one, chooses here as well."""

    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this source.", show_default=False)
    ] = None
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help=f"Only {', '.join(_KINDS)}.", show_default=False)
    ] = None
    status: Annotated[
        Texts,
        typer.Option(metavar="STATUS", help=f"Only {', '.join(_STATUSES)}; repeatable.", show_default=False),
    ] = ()
    wrong: Annotated[
        bool, typer.Option("--wrong", help="Only what failed, lacks something or found damage; and why.")
    ] = False
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help='Only begun since: a date, a time, "tuesday", or 36h ago.',
            show_default=False,
        ),
    ] = None
    until: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only begun before.", show_default=False)
    ] = None
    limit: Annotated[int, typer.Option(metavar="N", help="How many runs.", min=1)] = 50


def runs(options: RunsOptions) -> int:
    """List the runs of the journal: what was asked, when, and how it ended."""
    invocation = Invocation.of(options)
    settings = invocation.settings
    found = chosen(invocation, open_journal(settings, invocation.environ), options)
    lines = timeline.lines(settings, found, counted(len(found), "run"), by_source=True)
    return tell(
        options,
        [records.document(settings, run) for run in found],
        lines if options.wrong else _table(settings, found),
    )


def chosen(invocation: Invocation, journal: Journal, options: RunsOptions) -> list[RunRecord]:
    """The runs that the options ask for.

    Raises:
        UsageError: an option makes no sense.
        JournalUnavailableError: the journal cannot be read.
    """
    now_ns = time.time_ns()
    kind = None if options.kind is None else RunKind(one_word("--kind", options.kind, _KINDS))
    statuses = [RunStatus(one_word("--status", status, _STATUSES)) for status in options.status]
    if options.source is not None:
        records.refuse_unknown_source(invocation.settings, journal, options.source)
    repositories: Sequence[str] = ()
    if options.repo is not None:
        repositories = _repositories(invocation, journal, options.repo)
        if not repositories:
            return []
    return journal.runs(
        options.limit,
        source=options.source,
        repositories=repositories,
        kind=kind,
        statuses=statuses,
        wrong=options.wrong,
        since_ns=None
        if options.since is None
        else parse_moment(options.since, option="--since", now_ns=now_ns),
        before_ns=None
        if options.until is None
        else parse_moment(options.until, option="--until", now_ns=now_ns),
    )


def _repositories(invocation: Invocation, journal: Journal, named: str) -> list[str]:
    """The names that the journal's runs have for a repository, which was given as a profile or a location."""
    if named in invocation.settings.repositories:
        return [named]
    try:
        location = invocation.rules.location(named)
    except ValueError:
        location = named
    return repositories_at(invocation.settings, journal.repositories(), {named, location})


def _table(settings: Settings, found: Sequence[RunRecord]) -> list[str]:
    rows = [
        (
            short_id(run.run_id),
            run.kind.value,
            run.status.value,
            subject_of(settings, run.kind, run.source, run.repository),
            location_of(settings, run.repository),
            local_time(run.started_ns),
            format_duration(run.duration_ns) if run.ended_ns else "",
            format_bytes(run.totals.bytes_total) if run.totals.bytes_total else "",
            format_bytes(run.totals.data_added) if run.kind is RunKind.BACKUP and run.ended_ns else "",
            _result(run),
        )
        for run in found
    ]
    return table(_COLUMNS, rows, counted(len(rows), "run"))


def _result(run: RunRecord) -> str:
    parts = [run.strategy] if run.strategy else []
    parts += [f"snapshot {run.snapshot_id[:8]}"] if run.snapshot_id else []
    parts += [run.failure_kind] if run.failure_kind else []
    parts += [f"resumes {run.resumes[-8:]}"] if run.resumes else []
    errors = run.totals.errors
    parts += [counted(errors, "error")] if errors else []
    if run.verdict is not None:
        parts.append(
            "verified" if run.verdict.ok else counted(run.verdict.problem_count, "PROBLEM", "PROBLEMS")
        )
    return ", ".join(parts)

"""`holdfast decisions` shows which people decided what, and why, as the journal has it."""

import time
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from holdfast.contracts.identity import short_id
from holdfast.control.decisions import Decision
from holdfast.control.decisions import decisions as decided
from holdfast.control.journal import open_journal
from holdfast.control.names import subject_of
from holdfast.service.settings.model import Settings
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.moments import parse_moment
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import tell
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import local_time
from holdfast.units import counted

_SEARCHED: Final = 10_000
_COLUMNS: Final = (
    Column("When", kind=Kind.TIME),
    Column("Who"),
    Column("Decided"),
    Column("What", kind=Kind.PATH),
    Column("Snapshot", rank=2),
    Column("Run", rank=3),
    Column("Why", rank=1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionsOptions(CommonOptions):
    """Options of `decisions`."""

    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help='Only since: a date, a time, "tuesday", or 36h ago.', show_default=False
        ),
    ] = None
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this person's.", show_default=False)
    ] = None
    limit: Annotated[int, typer.Option(metavar="N", help="How many.", min=1)] = 50


def decisions(options: DecisionsOptions) -> int:
    """Show which people decided what, and why: holds, releases, approvals, forgettings, cancellations."""
    invocation = Invocation.of(options)
    since_ns = None
    if options.since is not None:
        since_ns = parse_moment(options.since, option="--since", now_ns=time.time_ns())
    runs = open_journal(invocation.settings, invocation.environ).runs(_SEARCHED, since_ns=since_ns)
    found = [one for one in decided(runs) if options.by in {None, one.by}][: options.limit]
    return tell(options, [_document(one) for one in found], _table(invocation.settings, found))


def _table(settings: Settings, found: list[Decision]) -> list[str]:
    rows = [
        (
            local_time(one.at_ns),
            one.by,
            one.what,
            subject_of(settings, one.run.kind, one.run.source, one.run.repository),
            one.run.snapshot_id[:8],
            short_id(one.run.run_id),
            one.why,
        )
        for one in found
    ]
    return table(_COLUMNS, rows, counted(len(rows), "decision"))


def _document(one: Decision) -> dict[str, object]:
    return {
        "at_ns": one.at_ns,
        "by": one.by,
        "what": one.what,
        "why": one.why,
        "kind": one.run.kind.value,
        "repository": one.run.repository,
        "source": one.run.source,
        "snapshot_id": one.run.snapshot_id,
        "run_id": one.run.run_id,
    }

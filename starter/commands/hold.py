"""`holdfast hold` holds a snapshot, with a name and a reason: nothing of Holdfast removes it before its release."""

import time
from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.ids import SnapshotId
from holdfast.repository.snapshots import find_snapshot, list_snapshots
from holdfast.retention import holds
from holdfast.starter.requests.choice import choice_of, place_of, refuse_unknown
from holdfast.starter.requests.record import record_act
from holdfast.starter.requests.repositories import open_repository, repository_session
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import ChoiceOptions
from holdfast.starter.shell.output import tell_done
from holdfast.starter.shell.person import triggered
from holdfast.terms import LATEST


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOptions(ChoiceOptions):
    """Options of `hold`."""

    snapshot: Annotated[
        str, typer.Argument(metavar="SNAPSHOT", help='Its id, the beginning of it, or "latest".')
    ]
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why. Kept with the hold, and in the journal.")]
    by: Annotated[
        str, typer.Option(metavar="NAME", help="Who holds it; else your user name.", show_default=False)
    ] = ""
    until: Annotated[
        str,
        typer.Option(
            metavar="DATE",
            help="Until the end of that day (2027-01-31, UTC), or an RFC 3339 time.",
            show_default=False,
        ),
    ] = ""


def hold(options: HoldOptions) -> int:
    """Hold a snapshot: nothing of Holdfast removes it until the hold ends or is released."""
    invocation, by = Invocation.of(options), options.by or triggered().by
    until_ns = holds.parse_until(options.until) if options.until else 0
    holds.check_said(by, options.reason)
    choice, place = choice_of(invocation, options), place_of(invocation, options)
    repository = invocation.repository(place)
    with repository_session(open_repository(invocation, place)) as session:
        session.lease.acquire()
        if choice and options.snapshot == LATEST:
            refuse_unknown(choice, list_snapshots(session.repository))
        stored = find_snapshot(session.repository, options.snapshot, choice)
        made = holds.hold(
            session.repository, stored, by=by, reason=options.reason, now_ns=time.time_ns(), until_ns=until_ns
        )
    record_act(
        invocation, repository, "hold", by=by, reason=options.reason, snapshot=SnapshotId(made.snapshot)
    )
    words = holds.told(made)
    return tell_done(options, {"message_type": "done", "message": words}, words)

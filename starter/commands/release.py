"""`holdfast release` lets go of a hold, or says that a person has decided about an alarm."""

from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.errors import UsageError
from holdfast.ids import SnapshotId
from holdfast.repository.session import RepositorySession
from holdfast.retention import holds
from holdfast.starter.requests.record import record_act
from holdfast.starter.requests.repositories import open_repository, repository_session
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import tell_done
from holdfast.starter.shell.person import triggered


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOptions(CommonOptions):
    """Options of `release`."""

    snapshot: Annotated[
        str,
        typer.Argument(
            metavar="[SNAPSHOT]", help="The held one, or the beginning of its id.", show_default=False
        ),
    ] = ""
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why. Kept in the journal.")]
    by: Annotated[
        str, typer.Option(metavar="NAME", help="Who decides; else your user name.", show_default=False)
    ] = ""
    alarm: Annotated[
        str,
        typer.Option(metavar="SOURCE", help="Settle the alarm of this source instead.", show_default=False),
    ] = ""
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Of the alarm's source; else this host.", show_default=False)
    ] = ""


def release(options: ReleaseOptions) -> int:
    """Let go of a hold; or, with --alarm, say that an alarm is decided."""
    if bool(options.snapshot) == bool(options.alarm):
        raise UsageError("either a snapshot or --alarm is needed", hint="`holdfast holds` lists both.")
    invocation, by = Invocation.of(options), options.by or triggered().by
    holds.check_said(by, options.reason)
    repository = invocation.repository()
    with repository_session(open_repository(invocation)) as session:
        session.lease.acquire()
        if options.alarm:
            said = _settled(invocation, options, session)
            snapshot = None
        else:
            gone = holds.release(session.repository, options.snapshot)
            said, snapshot = f"released: {holds.told(gone)}", SnapshotId(gone.snapshot)
    record_act(
        invocation,
        repository,
        "release",
        by=by,
        reason=options.reason,
        snapshot=snapshot,
        source=options.alarm,
    )
    return tell_done(options, {"message_type": "done", "message": said}, said)


def _settled(invocation: Invocation, options: ReleaseOptions, session: RepositorySession) -> str:
    settings = invocation.settings
    source = settings.sources.get(options.alarm)
    host = options.host or (source.host if source is not None else "") or settings.host
    note = holds.settle_alarm(session.repository, host, options.alarm)
    if note is None:
        raise UsageError(
            f"there is no alarm of {options.alarm} on {host}", hint="`holdfast holds` lists the alarms."
        )
    return f"settled: the alarm of {note.source} on {note.host} ({note.alarm})"

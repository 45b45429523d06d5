"""`holdfast unforget` takes a forgotten snapshot back out of the bin, and lists what is in there."""

from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.errors import EXIT_COMPLETE
from holdfast.ids import short
from holdfast.retention.bin import take_back
from holdfast.starter.commands.forget import list_bin
from holdfast.starter.requests.record import record_act
from holdfast.starter.requests.repositories import open_repository, repository_session
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions, Reason, Texts
from holdfast.starter.shell.output import tell_done
from holdfast.starter.shell.person import triggered


@dataclass(frozen=True, slots=True, kw_only=True)
class UnforgetOptions(CommonOptions):
    """Options of `unforget`."""

    snapshots: Annotated[
        Texts,
        typer.Argument(
            metavar="[SNAPSHOT…]", help="These; without any, what there is is listed.", show_default=False
        ),
    ] = ()
    reason: Reason = ""


def unforget(options: UnforgetOptions) -> int:
    """Take snapshots back out of the bin; without an id, list what is in there."""
    invocation = Invocation.of(options)
    if not options.snapshots:
        return list_bin(invocation)
    repository = invocation.repository()
    with repository_session(open_repository(invocation)) as session:
        for name in options.snapshots:
            with session.hold() as held:
                taken = take_back(held, name)
            record_act(
                invocation,
                repository,
                "unforget",
                by=triggered().by,
                reason=options.reason,
                snapshot=taken,
            )
            words = f"took back snapshot {short(taken)}"
            tell_done(options, {"message_type": "done", "message": words}, words)
    return EXIT_COMPLETE

"""`holdfast approve` decides about a restore that a guard has asked for."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

import typer

from contracts.guard import Approval, Part
from control import guard as control
from control import requests
from control.runs import server_errors
from starter.commands.guard import follow
from starter.host.service import Need, open_service
from starter.shell.invocation import Invocation
from starter.shell.options import CommonOptions, one_word


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveOptions(CommonOptions):
    """Options of `approve`."""

    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source whose guard waits.")]
    by: Annotated[str, typer.Option(metavar="NAME", help="Who decides.")]
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why. Kept in the journal and by the server.")]
    part: Annotated[str, typer.Option(metavar="PART", help="missing, damaged or all.")] = "all"
    refuse: Annotated[bool, typer.Option("--refuse", help="Decide against the restore.")] = False


def approve(options: ApproveOptions) -> int:
    """Approve (or refuse) what a guard has asked for, and follow it to its end."""
    one_word("--part", options.part, Part)
    return asyncio.run(_approve(Invocation.of(options), options))


async def _approve(invocation: Invocation, options: ApproveOptions) -> int:
    settings = invocation.settings
    source = settings.source(options.source)
    need = Need(
        queue=requests.base_queue(settings, source.repository),
        passwords=invocation.worker_passwords(settings.repository(source.repository)),
    )
    approval = Approval(
        by=options.by, reason=options.reason, part=Part(options.part), grant=not options.refuse
    )
    with server_errors():
        async with open_service(settings, need, invocation.environ) as service:
            handle = await control.approve(service.client, settings, source, approval)
            return await follow(invocation, service, handle, source)

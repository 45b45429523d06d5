"""`holdfast approve` decides about a restore that a guard has asked for, or about the plan of a prune."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.contracts.guard import Approval, Part
from holdfast.contracts.prune import PruneRequest
from holdfast.control import guard as control
from holdfast.control import prune as prune_control
from holdfast.control import requests
from holdfast.control.runs import server_errors
from holdfast.errors import EXIT_COMPLETE
from holdfast.starter.commands.guard import follow
from holdfast.starter.host.service import Need, open_service
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions, one_word
from holdfast.starter.shell.output import say, say_json
from holdfast.starter.view.results.prune import plan_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveOptions(CommonOptions):
    """Options of `approve`."""

    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE|REPO",
            help="The source whose guard waits; with --prune, the repository whose prune does.",
        ),
    ]
    by: Annotated[str, typer.Option(metavar="NAME", help="Who decides.")]
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why. Kept in the journal and by the server.")]
    part: Annotated[str, typer.Option(metavar="PART", help="missing, damaged or all.")] = "all"
    prune: Annotated[bool, typer.Option("--prune", help="About the plan of a prune.")] = False
    refuse: Annotated[bool, typer.Option("--refuse", help="Decide against it.")] = False


def approve(options: ApproveOptions) -> int:
    """Approve (or refuse) what a guard or a prune has asked for. A guard is followed to its end."""
    one_word("--part", options.part, Part)
    return asyncio.run(_approve(Invocation.of(options), options))


async def _approve(invocation: Invocation, options: ApproveOptions) -> int:
    settings = invocation.settings
    if options.prune:
        return await _approve_prune(invocation, options)
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


async def _approve_prune(invocation: Invocation, options: ApproveOptions) -> int:
    settings = invocation.settings
    repository = settings.repository(options.source)
    asked = PruneRequest(repository=repository.name)
    need = Need(
        queue=requests.queue_of_run(settings, asked), passwords=invocation.worker_passwords(repository)
    )
    approval = Approval(by=options.by, reason=options.reason, grant=not options.refuse)
    with server_errors():
        async with open_service(settings, need, invocation.environ) as service:
            status = await prune_control.approve(service.client, settings, repository.name, approval)
    for line in [] if status.plan is None or options.json else plan_lines(status.plan):
        say(line)
    taken = {"message_type": "approval", "run_id": status.run_id, "grant": approval.grant}
    if options.json:
        say_json(taken)
    else:
        say("the prune ends without doing it" if options.refuse else "the prune goes on")
    return EXIT_COMPLETE

"""Asks something of the run that a person names, and tells what came of it."""

import asyncio

from holdfast.control.listing import list_runs
from holdfast.control.runs import server_errors
from holdfast.control.updates import Answer, ask
from holdfast.errors import EXIT_COMPLETE
from holdfast.starter.host.service import find_client
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import say, say_json
from holdfast.starter.view.control_state import document, lines
from holdfast.starter.view.listing import told


def steer(options: CommonOptions, name: str, what: str, message: object, done: str) -> int:
    """Ask it; the exit code. done: what the run does then, in which {run} stands for its short id.

    Raises:
        UsageError: no such run is under way, or it refuses.
        ServerUnavailableError: the server does not answer.
    """
    answer = asyncio.run(_steer(Invocation.of(options), name, what, message))
    _tell(options, answer, done.format(run=answer.run.short_id))
    return EXIT_COMPLETE


async def _steer(invocation: Invocation, name: str, what: str, message: object) -> Answer:
    client = await find_client(invocation.settings, invocation.environ)
    with server_errors():
        listed = told(await list_runs(invocation.settings, invocation.environ, client))
        return await ask(client, listed.find(name), what, message)


def _tell(options: CommonOptions, answer: Answer, done: str) -> None:
    run, state = answer.run, answer.state
    if options.json:
        say_json(
            {
                "message_type": "control",
                "run_id": run.run_id,
                "workflow_id": run.workflow_id,
                "taken": state is not None,
                **({} if state is None else document(state)),
            }
        )
    elif not options.quiet:
        later = "" if state is not None else ", once one of its workers is there"
        say(f"run {run.short_id} {done}{later}")
        for line in [] if state is None else lines(state):
            say(f"  {line}")

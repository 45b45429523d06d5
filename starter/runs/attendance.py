"""Stays with a run: has it begun or found, shows it, and waits for its end, unless it is left to the service."""

import sys
from collections.abc import Awaitable, Callable

from contracts.verbs import Result
from control import runs
from control.known_paths import NO_PATHS, KnownPaths
from holdfast.errors import UsageError
from holdfast.terms import RunKind
from starter.host.need import Service
from starter.runs.follower import Following, Interrupts
from starter.shell.invocation import Invocation
from starter.shell.output import say, say_json
from starter.view.display import Display, display_for

Begin = Callable[[Display], Awaitable[runs.Handle]]
"""Starts a run, or finds the one that is under way, of which it says so."""


async def attend(
    invocation: Invocation,
    service: Service,
    kind: RunKind,
    begin: Begin,
    *,
    detach: bool,
    known: KnownPaths = NO_PATHS,
) -> Result | None:
    """The run's result; None when it was left to the service. detach: return once it is started.

    known: the paths that messages about it may show.

    Raises:
        UsageError: it is to be left to the service, and there is none.
        HoldfastError: what ended the run.
    """
    if detach and service.owned:
        raise UsageError(
            "no service is up that could go on with the run",
            hint="Start `holdfast up` (or leave out --detach).",
        )
    options = invocation.options
    display = display_for(kind, as_json=options.json, quiet=options.quiet, terminal=sys.stdout.isatty())
    try:
        with runs.server_errors(), Interrupts() as interrupts:
            handle = await begin(display)
            url = service.run_url(handle.id)
            if detach:
                _tell_detached(invocation, handle.id, url)
                return None
            if url is not None:
                display.link(url)
            following = Following(
                service.client,
                handle,
                display,
                interrupts,
                known=known,
                service_stays=not service.owned,
                state_dir=invocation.settings.state_dir
                if invocation.settings.server.address is None
                else None,
            )
            return await following.to_the_end()
    finally:
        display.close()


def _tell_detached(invocation: Invocation, workflow_id: str, url: str | None) -> None:
    if invocation.options.json:
        say_json({"message_type": "started", "workflow_id": workflow_id, "url": url})
        return
    say(f"the run is under way: `holdfast status` shows it{'' if url is None else f', and {url}'}")

"""Services run in the foreground until a signal ends them: `holdfast up`, `holdfast worker`, `python worker.py`.

Runs that were interrupted go on by themselves once workers are there: their workflows are still open on the server.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from holdfast.control.requests import base_queue
from holdfast.errors import EXIT_COMPLETE, HoldfastError, ServerUnavailableError, UsageError
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import Settings
from holdfast.service.settings.passwords import PasswordBook
from holdfast.starter.daemon.dead_locks import remove_own_dead_locks
from holdfast.starter.daemon.manager import Manager
from holdfast.starter.daemon.upkeep import upkeep
from holdfast.starter.host.connection import connect
from holdfast.starter.host.ownership import ServiceNote, claim_service, registered_service, running_services
from holdfast.starter.host.service import beside, open_door, prepare
from holdfast.starter.host.supervisor import Crew, at, longest_end_s, running_workers
from holdfast.starter.host.temporal_server import EmbeddedServer
from holdfast.starter.shell.logging import configure_logging

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_LOOK_EVERY_S: Final = 2.0
_LOG: Final = logging.getLogger("holdfast.service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """An assignment says what a service is to do. up: with the server, as this state directory's one service."""

    settings: Settings
    up: bool
    environ: Mapping[str, str] = field(repr=False)
    queues: tuple[str, ...]
    passwords: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def serve(settings_file: str | None) -> int:
    """Workers for this host's queue until SIGTERM or Ctrl-C; returns the exit code. What `python worker.py` does."""
    try:
        settings = load_settings(Path(settings_file) if settings_file else None, os.environ)
        return run_service(
            Assignment(settings=settings, up=False, environ=os.environ, queues=(base_queue(settings, ""),))
        )
    except HoldfastError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


def run_service(assignment: Assignment) -> int:
    """Serve until SIGTERM or Ctrl-C; returns the exit code. Tells on stderr what goes on.

    Raises:
        UsageError: there is a service already.
        ServerUnavailableError: there is no server, or it cannot be started.
        StorageDeniedError, StorageFullError: the state directory cannot be written.
    """
    configure_logging(assignment.settings.log, label="holdfast", level=logging.INFO, names=False)
    asyncio.run(_serve(assignment))
    return EXIT_COMPLETE


async def _serve(assignment: Assignment) -> None:
    settings, manager = assignment.settings, Manager(assignment.environ)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(beside(manager.keep_informed()))
        if assignment.up:
            _claim_state_dir(settings, stack)
        warning = open_door(settings.server)
        if warning is not None:
            _LOG.warning("%s", warning)
        address, ui_url, server = await _server(assignment, stack)
        note = ServiceNote(pid=os.getpid(), up=assignment.up, queues=assignment.queues)
        stack.enter_context(registered_service(settings.state_dir, note))
        crew = Crew(
            settings=settings,
            place=at(address),
            queues=assignment.queues,
            environ=assignment.environ,
            passwords=assignment.passwords,
            to_stderr=True,
        )
        await stack.enter_async_context(running_workers(crew))
        if assignment.up:
            passwords = PasswordBook(given=assignment.passwords, environ=assignment.environ)
            looking = asyncio.create_task(asyncio.to_thread(remove_own_dead_locks, settings, passwords))
            stack.callback(looking.cancel)
        await stack.enter_async_context(beside(upkeep(settings, address, base_queue(settings, ""))))
        if settings.server.address is not None and settings.notices.is_wanted:
            from holdfast.starter.daemon.server_silence import tell_of_silence  # noqa: PLC0415 - few want it

            await stack.enter_async_context(beside(tell_of_silence(settings, address)))
        if server is not None:
            reminding = asyncio.create_task(_remind(server, assignment))
            stack.callback(reminding.cancel)
        if assignment.up:
            await _watch(assignment, address, stack)
        with stop_by_signal() as stop:  # before anybody is told that we are there, and may end us
            _LOG.info("server %s, worker processes: %d", address, settings.worker.processes)
            _LOG.info("serving the task queues %s", ", ".join(assignment.queues))
            if ui_url is not None:
                _LOG.info("Web UI: %s", ui_url)
            shown = "" if ui_url is None else f"; Web UI {ui_url}"
            manager.tell_ready(f"serving {', '.join(assignment.queues)}{shown}")
            await stop.wait()
        manager.tell_ending(within_s=longest_end_s(settings))
        _LOG.info("ending; again to end at once")


async def _remind(server: EmbeddedServer, assignment: Assignment) -> None:
    """Bring back what the server has forgotten, at the start or because its database was lost since."""
    from holdfast.starter.daemon.reconciliation import bring_back  # noqa: PLC0415 - seldom needed

    while True:
        if server.has_forgotten:
            client = await server.find()
            if client is not None:
                server.has_forgotten = False
                await prepare(client, server.address)
                await bring_back(client, assignment.settings, assignment.environ, assignment.queues)
        await asyncio.sleep(_LOOK_EVERY_S)


async def _watch(assignment: Assignment, address: str, stack: contextlib.AsyncExitStack) -> None:
    """Watch the sources that the settings say are to be watched."""
    settings = assignment.settings
    watched = [source for source in settings.sources.values() if source.watch is not None]
    if not watched:
        return
    from holdfast.starter.watching.watcher import watching  # noqa: PLC0415 - few hosts watch sources

    client = await connect(settings.server, address)
    await stack.enter_async_context(watching(settings, client, watched, assignment.environ))


@contextlib.contextmanager
def stop_by_signal() -> Iterator[asyncio.Event]:
    """The first signal sets this, while the context lasts. After it a signal has its usual effect, and children end
    with this process."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _server(
    assignment: Assignment, stack: contextlib.AsyncExitStack
) -> tuple[str, str | None, EmbeddedServer | None]:
    """Address and Web UI of the server, and the server itself where this process runs it.

    `up` runs the embedded one, workers wait for a configured one.
    """
    settings = assignment.settings
    if settings.server.address is not None:
        if assignment.up:
            await prepare(await connect(settings.server, settings.server.address), settings.server.address)
        return settings.server.address, settings.server.ui_url, None
    server = EmbeddedServer(settings, assignment.environ)
    if not assignment.up:
        if await server.find() is None:
            raise ServerUnavailableError(
                f"no server runs for the state directory {settings.state_dir}",
                hint="Start `holdfast up`, or set server.address in holdfast.toml.",
            )
        return server.address, server.ui_url, None
    stack.push_async_callback(server.stop)
    client = await server.join()
    await prepare(client, server.address)
    if server.has_forgotten:
        from holdfast.starter.host.ended_runs import end_what_is_over  # noqa: PLC0415 - seldom needed

        await end_what_is_over(client, settings)
    await stack.enter_async_context(beside(server.keep()))
    return server.address, server.ui_url, server


def _claim_state_dir(settings: Settings, stack: contextlib.AsyncExitStack) -> None:
    """Become this state directory's service.

    Raises:
        UsageError: another process is.
    """
    claim = claim_service(settings.state_dir)
    if claim is None:
        pids = [str(note.pid) for note in running_services(settings.state_dir) if note.up]
        raise UsageError(
            f"a service is up already for {settings.state_dir}{' (process ' + pids[0] + ')' if pids else ''}",
            hint="Use it, stop it with Ctrl-C, or choose another state_dir.",
        )
    stack.callback(claim.release)

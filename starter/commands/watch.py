"""`holdfast watch` sees changes of sources, and asks for backups once their conditions hold."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.control.requests import base_queue
from holdfast.errors import EXIT_COMPLETE, UsageError
from holdfast.service.settings.model import SourceProfile
from holdfast.starter.host.service import Need, open_service
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.logging import configure_logging
from holdfast.starter.shell.options import CommonOptions, Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions(CommonOptions):
    """Options of `watch`."""

    sources: Annotated[
        Texts,
        typer.Argument(
            metavar="[SOURCE…]", help="Sources of the settings; else all with a watch.", show_default=False
        ),
    ] = ()


def watch(options: WatchOptions) -> int:
    """Watch sources until Ctrl-C; `holdfast up` does so for those with [sources.NAME.watch]."""
    return asyncio.run(_watch(Invocation.of(options), options))


async def _watch(invocation: Invocation, options: WatchOptions) -> int:
    from holdfast.starter.daemon.foreground import stop_by_signal  # noqa: PLC0415 (brings Temporal's client)
    from holdfast.starter.watching.watcher import watching  # noqa: PLC0415 - as above

    level = logging.WARNING if options.quiet else logging.INFO
    configure_logging(invocation.settings.log, label="holdfast", level=level, names=False)
    sources = _sources(invocation, options)
    need = Need(queue=base_queue(invocation.settings, ""))
    async with (
        open_service(invocation.settings, need, invocation.environ) as service,
        watching(invocation.settings, service.client, sources, invocation.environ),
    ):
        with stop_by_signal() as stop:
            await stop.wait()
    return EXIT_COMPLETE


def _sources(invocation: Invocation, options: WatchOptions) -> list[SourceProfile]:
    settings = invocation.settings
    if options.sources:
        named = [settings.source(name) for name in dict.fromkeys(options.sources)]
        for source in named:
            if source.spec.command:
                raise UsageError(
                    f"the source {source.name} is a command's output, which cannot be watched",
                    hint="Give it a schedule.",
                )
        return named
    found = [source for source in settings.sources.values() if source.watch is not None]
    if not found:
        raise UsageError(
            "no source is to be watched", hint="Name one, or add [sources.NAME.watch] to holdfast.toml."
        )
    return found

"""The follower shows a run until its end, and lets the person stop it.

The first Ctrl-C asks the run to stop and waits until it has. The second leaves it as it is. Where a step fails again
and again for a reason that only a person can remove (a lock, a full disk), the run is stopped and the reason told:
it goes on from its checkpoint once that is done.
"""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Final, Self

from temporalio.service import RPCError

from holdfast.activities.waits import FailingStep
from holdfast.contracts.verbs import Result
from holdfast.control import runs
from holdfast.control.known_paths import KnownPaths
from holdfast.control.progress import RunView, look
from holdfast.errors import EXIT_INTERRUPTED, HoldfastError, RepositoryLockedError, StorageFullError
from holdfast.service.settings.model import Settings
from holdfast.starter.host.service import Service
from holdfast.starter.view.display import Display

_PATIENCE: Final = {RepositoryLockedError.__name__: 3, StorageFullError.__name__: 4}
"""After how many failed attempts in a row a step's error ends the command: a prune's short part is over before that."""


class DetachedError(HoldfastError):
    """The person has left the run as it is."""

    exit_code = EXIT_INTERRUPTED


class Follower:
    """Follows a run, and counts, while the context lasts, how often the person or the system wants an end.

    SIGTERM does not ask: it counts twice. known: the paths that messages about the run may show.
    """

    def __init__(self, service: Service, display: Display, settings: Settings, known: KnownPaths) -> None:
        self._client = service.client
        self._service_stays = not service.owned
        self._display = display
        self._known = known
        self._state_dir = settings.state_dir if settings.server.address is None else None
        self._interrupts = 0
        self._interrupted = asyncio.Event()
        self._reason: HoldfastError | None = None
        self._told: FailingStep | None = None
        self._told_away = False

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._count, 1)
        loop.add_signal_handler(signal.SIGTERM, self._count, 2)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)

    def _count(self, times: int) -> None:
        self._interrupts += times
        self._interrupted.set()

    async def follow(self, handle: runs.Handle) -> Result:
        """The run's result.

        Raises:
            HoldfastError: what ended the run.
            DetachedError: the person has left.
        """
        self._handle = handle
        result = asyncio.create_task(runs.result_of(handle, self._tell_away, self._known))
        watching = asyncio.create_task(self._watch())
        try:
            await self._until_done(result, watching)
            return await result
        except runs.RunCancelledError:
            if self._reason is not None:
                raise self._reason from None
            raise
        finally:
            for task in (result, watching):
                task.cancel()
            await asyncio.gather(result, watching, return_exceptions=True)
            self._display.close()

    async def _until_done(self, result: "asyncio.Task[Result]", watching: "asyncio.Task[None]") -> None:
        while not result.done():
            interrupted = asyncio.create_task(self._interrupted.wait())
            await asyncio.wait({result, watching, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            interrupted.cancel()
            if watching.done():
                watching.result()  # it has no end of its own, so this raises
            if self._interrupted.is_set():
                self._interrupted.clear()
                await self._interrupt()

    async def _interrupt(self) -> None:
        if self._interrupts > 1:
            raise self._detached()
        self._display.note("stopping the run; press Ctrl-C again to leave it as it is")
        # Beside the loop, so that a server that is away does not keep the second Ctrl-C waiting.
        self._stopping = asyncio.create_task(self._stop())

    async def _stop(self) -> None:
        with contextlib.suppress(RPCError):
            await runs.ask_to_stop(self._handle)

    async def _watch(self) -> None:
        view = RunView()
        while True:
            view = await look(self._client, self._handle, view, self._known)
            self._told_away = self._told_away and view.away
            self._display.show(view)
            if view.trouble is not None:
                await self._consider(view.trouble)
            await asyncio.sleep(self._display.interval_s)

    async def _consider(self, trouble: FailingStep) -> None:
        """Tell of a step that is tried again; end the run where waiting is in vain."""
        if self._reason is not None:
            return
        patience = _PATIENCE.get(trouble.kind)
        if patience is None or trouble.attempt <= patience:
            if self._told is None or self._told.kind != trouble.kind:
                self._told = trouble
                self._display.note(f"{trouble.message.partition(chr(10))[0]} (trying again)")
            return
        error = runs.error_by_name(trouble.kind, trouble.message)
        self._reason = type(error)(error.message, hint=f"{error.hint} Then repeat the command.".strip())
        await self._stop()

    def _tell_away(self) -> None:
        if not self._told_away:
            self._told_away = True
            reason = ""
            if self._state_dir is not None and is_full(self._state_dir):
                reason = f": {self._state_dir} is full; make room there"
            self._display.note(f"the server does not answer; waiting for it{reason}")

    def _detached(self) -> DetachedError:
        if self._service_stays:
            return DetachedError(
                "the run goes on in the service",
                hint="`holdfast status` shows it, `holdfast cancel` stops it.",
            )
        return DetachedError(
            "the run is left where it is",
            hint="`holdfast resume`, or the same command again, goes on with it.",
        )


def is_full(folder: Path) -> bool:
    """Whether nothing can be written there; not where that cannot be told, nor where no space is counted."""
    try:
        figures = os.statvfs(folder)
    except OSError:
        return False
    return figures.f_blocks > 0 and figures.f_bavail == 0

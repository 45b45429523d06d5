"""What a command begins before it follows its run: the server first, then keys and workers (ADR 0020, 0022).

There is one thread until the workers are forked, so nothing here runs in an event loop. Server and key have processes
of their own; this one loads meanwhile what workers need, and most of what it needs itself.
"""

import contextlib
import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from holdfast.errors import HoldfastError
from service.settings.model import Settings
from starter.host.forks import is_alone
from starter.host.launch import Forks, Launch, Memory, Starting
from starter.host.ownership import running_services
from starter.host.temporal_server import EmbeddedServer
from starter.host.unlocker import Openings, Unlocking


@dataclass(frozen=True, slots=True, kw_only=True)
class Mustered:
    """Workers that have been begun. unlocking: of the repositories; None where workers were not forked from here."""

    memory: Memory
    workers: Starting
    unlocking: Unlocking | None = None

    def dismiss(self) -> None:
        """They are not needed."""
        self.workers.abandon()
        if self.unlocking is not None:
            self.unlocking.abandon()
        self.memory.close()


class Ahead:
    """What was begun for one run of this command. server: somebody else's, or begun; to be joined."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self.server = EmbeddedServer(settings, environ, for_one=True)
        self._settings = settings
        self._environ = environ
        self._mustered: Mustered | None = None
        with contextlib.suppress(HoldfastError, OSError):  # who cannot go on without it meets that again
            self.server.begin()

    def muster(self, openings: Openings) -> None:
        """Have the repositories unlocked, load, and start the workers.

        Raises:
            OSError: no process can be had.
            StorageDeniedError, StorageFullError: the state directory cannot be written.
        """
        numbers, memory = range(self._settings.worker.processes), Memory.create()
        if not is_alone():  # this process has run a command before, and has Temporal's threads
            workers = Launch(self._settings, self._environ, numbers=numbers, memory=memory)
            self._mustered = Mustered(memory=memory, workers=workers)
            return
        unlocking = Unlocking(openings, memory.keys, self._environ)
        _load()
        forks = Forks(self._settings, self._environ, numbers=numbers, memory=memory)
        self._mustered = Mustered(memory=memory, workers=forks, unlocking=unlocking)

    def take(self) -> Mustered | None:
        """The workers, if there are any. Whoever takes them ends them."""
        mustered, self._mustered = self._mustered, None
        return mustered

    def close(self) -> None:
        """End what nobody has taken."""
        mustered = self.take()
        if mustered is not None:
            mustered.dismiss()
        self.server.abandon()


@contextlib.contextmanager
def expecting_run(settings: Settings, environ: Mapping[str, str]) -> Iterator[Ahead | None]:
    """Begin what a run needs, where nobody serves any queue of this host and no other one might.

    Gives None where it may not be needed.
    """
    if settings.server.address is not None or running_services(settings.state_dir):
        yield None
        return
    ahead = Ahead(settings, environ)
    try:
        yield ahead
    finally:
        ahead.close()


def _load() -> None:
    import worker  # noqa: F401, PLC0415 - what they need, which includes Temporal's client
    from starter.runs import served  # noqa: F401, PLC0415 - and what this process needs of it

    gc.freeze()  # the collector would look through all that, and write into what workers share
    gc.enable()

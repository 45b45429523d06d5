"""A command begins things before it follows its run: the server first, then workers (ADR 0020, 0022).

There is one thread until the workers are forked, so nothing here runs in an event loop. The server has a process of its
own; this one loads what workers need while that starts, and most of what it needs itself.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping

from holdfast.errors import HoldfastError
from holdfast.service.settings.model import Settings
from holdfast.starter.host.forks import is_alone
from holdfast.starter.host.launch import Forks
from holdfast.starter.host.ownership import running_services
from holdfast.starter.host.temporal_server import EmbeddedServer


class EarlyStart:
    """It holds what was begun for one run of this command. server: another process's, or begun; to be joined."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self.server = EmbeddedServer(settings, environ, for_one=True)
        self._settings = settings
        self._environ = environ
        self._workers: Forks | None = None
        with contextlib.suppress(HoldfastError, OSError):  # `join` meets it again
            self.server.begin()

    def fork_workers(self, load: Callable[[], None]) -> None:
        """Load what workers and this command need, and fork the workers; not where there are threads already, as after
        another run of this command.

        Raises:
            OSError: no process can be had.
            StorageDeniedError, StorageFullError: the state directory cannot be written.
        """
        if not is_alone():
            return
        load()
        gc.freeze()  # the collector would look through all that, and write into what workers share
        gc.enable()
        self._workers = Forks(self._settings, self._environ)

    def take(self) -> Forks | None:
        """The workers, if there are any; the caller ends them."""
        workers, self._workers = self._workers, None
        return workers

    def close(self) -> None:
        """End what nobody has taken."""
        workers = self.take()
        if workers is not None:
            workers.abandon()
        self.server.abandon()


@contextlib.contextmanager
def early_start(settings: Settings, environ: Mapping[str, str]) -> Iterator[EarlyStart | None]:
    """Begin what a run needs, where nobody serves any queue of this host and no other one might.

    Gives None where it may not be needed.
    """
    if settings.server.address is not None or running_services(settings.state_dir):
        yield None
        return
    begun = EarlyStart(settings, environ)
    try:
        yield begun
    finally:
        begun.close()

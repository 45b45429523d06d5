"""Watches the files of sources with the kernel's help, and reports changes in batches.

Names stay here: reports count. A path that changes again and again counts once until the next backup. What cannot be
reported now is kept and reported later. Changes while nobody watches are not seen: a schedule beside the watch catches
them.
"""

import asyncio
import contextlib
import logging
import os
import stat as modes
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError
from watchfiles import Change, awatch

from contracts.watch import Changes, WatchStatus
from holdfast.settings.model import Settings, SourceProfile
from holdfast.source.filters import Filter
from holdfast.storage.locations import open_storage
from starter.watching.reporting import report

_BATCH_MS: Final = 1_000
_LOOK_AGAIN_MS: Final = 5_000
_RETRY_S: Final = 2.0
_ROOT_RETRY_S: Final = 15.0
_MOST_PATHS: Final = 200_000
"""Paths remembered, so that each counts once; with more, some count twice."""
_BY: Final = "holdfast watch"
_LOG: Final = logging.getLogger("holdfast.watch")


@dataclass(slots=True)
class Tally:
    """Changes that were seen and not yet reported."""

    batches: int = 0
    files: int = 0
    size_bytes: int = 0
    largest_bytes: int = 0

    def taken(self) -> Changes:
        """All of it as a report; nothing is left."""
        changes = Changes(
            files=self.files, size_bytes=self.size_bytes, largest_bytes=self.largest_bytes, by=_BY
        )
        self.batches = self.files = self.size_bytes = self.largest_bytes = 0
        return changes

    def give_back(self, changes: Changes) -> None:
        """A report that did not get through."""
        self.batches += 1
        self.files += changes.files
        self.size_bytes += changes.size_bytes
        self.largest_bytes = max(self.largest_bytes, changes.largest_bytes)


class SourceWatcher:
    """Watches one source."""

    def __init__(self, settings: Settings, source: SourceProfile) -> None:
        self._settings = settings
        self._source = source
        self._filter = Filter(source.spec)
        self._hidden = _hidden(settings, source)
        self._seen: set[bytes] = set()
        self._tally = Tally()
        self._changed = asyncio.Event()
        self._runs = 0

    async def watch(self, client: Client) -> None:
        """Watch and report until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._collect())
            group.create_task(self._report(client))

    def count(self, changes: set[tuple[Change, str]]) -> None:
        """Take a batch of events."""
        counted = False
        for _, name in changes:
            path = os.fsencode(name)
            if self._excludes(path):
                continue
            counted = True
            size_bytes = _size_bytes(path)
            self._tally.size_bytes += size_bytes
            self._tally.largest_bytes = max(self._tally.largest_bytes, size_bytes)
            if path not in self._seen:
                self._tally.files += 1
                if len(self._seen) < _MOST_PATHS:
                    self._seen.add(path)
        if counted:
            self._tally.batches += 1
            self._changed.set()

    async def _collect(self) -> None:
        roots = [os.fsdecode(root) for root in self._source.spec.roots]
        while True:
            present = _present(roots)
            if present:
                before = _identities(present)
                with contextlib.suppress(FileNotFoundError):
                    await self._follow(present, before)
            else:
                _LOG.warning("source %s: nothing is there to watch", self._source.name)
                await asyncio.sleep(_ROOT_RETRY_S)

    async def _follow(self, roots: Sequence[str], before: Sequence[tuple[int, int]]) -> None:
        """Until a root is exchanged: the kernel goes on watching what was there before."""
        watching = awatch(
            *roots,
            watch_filter=None,
            debounce=_BATCH_MS,
            rust_timeout=_LOOK_AGAIN_MS,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        )
        async for changes in watching:
            self.count(changes)
            if _identities(roots) != before:
                return

    async def _report(self, client: Client) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            changes = self._tally.taken()
            try:
                status = await report(client, self._settings, self._source, changes)
            except (RPCError, TimeoutError) as error:
                _LOG.info("source %s: changes could not be reported yet: %s", self._source.name, error)
                self._tally.give_back(changes)
                self._changed.set()
                await asyncio.sleep(_RETRY_S)
            except WorkflowUpdateFailedError as error:
                _LOG.warning("source %s: the report was refused: %s", self._source.name, error.cause)
            else:
                self._answered(status)

    def _answered(self, status: WatchStatus) -> None:
        """A backup has taken over what was pending: from now on each path counts anew."""
        if status.runs != self._runs or status.running:
            self._seen.clear()
        self._runs = status.runs

    def _excludes(self, path: bytes) -> bool:
        """Whether the source leaves this path out, or a directory above it, or it is the repository's own."""
        if any(path == hidden or path.startswith(hidden + b"/") for hidden in self._hidden):
            return True
        if not self._filter.has_patterns:
            return False
        while len(path) > 1 and path not in self._source.spec.roots:  # of which no pattern speaks
            if self._filter.excludes(path):
                return True
            path = os.path.dirname(path)
        return False


@contextlib.asynccontextmanager
async def watching(
    settings: Settings, client: Client, sources: Sequence[SourceProfile]
) -> AsyncIterator[None]:
    """Watch sources while the context lasts."""
    tasks = [asyncio.create_task(SourceWatcher(settings, source).watch(client)) for source in sources]
    for source in sources:
        _LOG.info("watching the source %s", source.name)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _hidden(settings: Settings, source: SourceProfile) -> tuple[bytes, ...]:
    """What changes because of us: the repository, and the state directory with journal and server."""
    hidden = [bytes(settings.state_dir)]
    directory = open_storage(settings.repository(source.repository).location).traits.directory
    if directory is not None:
        hidden.append(bytes(directory))
    return tuple(hidden)


def _size_bytes(path: bytes) -> int:
    try:
        stat = os.lstat(path)
    except OSError:
        return 0  # deleted
    return stat.st_size if modes.S_ISREG(stat.st_mode) else 0


def _present(roots: Sequence[str]) -> list[str]:
    return [root for root in roots if os.path.lexists(root)]


def _identities(roots: Sequence[str]) -> list[tuple[int, int]]:
    found = []
    for root in roots:
        try:
            stat = os.lstat(root)
        except OSError:
            found.append((0, 0))
        else:
            found.append((stat.st_dev, stat.st_ino))
    return found

"""Watches the files of sources with the kernel's help, and reports changes in batches.

Names stay here: reports count. A path that changes again and again counts once until the next backup. What cannot be
reported now is kept and reported later. Changes while nobody watches are not seen: a schedule beside the watch catches
them. A source that cannot be watched is told of, and tried again; the others do not mind.
"""

import asyncio
import contextlib
import logging
import os
import stat as modes
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from temporalio.client import Client, RPCTimeoutOrCancelledError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from holdfast.contracts.control import REFUSED
from holdfast.contracts.watch import Changes, WatchStatus
from holdfast.errors import HoldfastError
from holdfast.service.settings.model import Settings, SourceProfile
from holdfast.starter.watching.collector import report
from holdfast.starter.watching.kernel import TreeWatch, WatchLimitError
from holdfast.starter.watching.scope import Scope, exclude_files_state

_BATCH_S: Final = 1.0
_LOOK_AGAIN_S: Final = 5.0
_RETRY_S: Final = 2.0
_ROOT_RETRY_S: Final = 15.0
_LIMIT_RETRY_S: Final = 300.0
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

    def __init__(
        self, settings: Settings, source: SourceProfile, environ: Mapping[str, str], beginning: asyncio.Lock
    ) -> None:
        """beginning: held by the one source whose watches are being set, so that one that takes all of them leaves some
        to the others when it has failed."""
        self._settings = settings
        self._source = source
        self._environ = environ
        self._beginning = beginning
        self._roots = source.spec.roots
        self._seen: set[bytes] = set()
        self._batch: set[bytes] = set()
        self._again = 0
        self._tally = Tally()
        self._changed = asyncio.Event()
        self._since_ns = 0

    async def watch(self, client: Client) -> None:
        """Watch and report until cancelled."""
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"watch {self._source.name}")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._collect(thread))
                group.create_task(self._report(client))
        finally:
            thread.shutdown(wait=False)

    def count(self, sizes: Mapping[bytes, int]) -> None:
        """Take a batch of changes: the paths, and the size of each."""
        for path, size_bytes in sizes.items():
            self._tally.size_bytes += size_bytes
            self._tally.largest_bytes = max(self._tally.largest_bytes, size_bytes)
            if path in self._seen:
                self._again += 1
            else:
                self._tally.files += 1
                if len(self._seen) < _MOST_PATHS:
                    self._seen.add(path)
        if len(self._batch) < _MOST_PATHS:
            self._batch.update(sizes)
        if sizes:
            self._tally.batches += 1
            self._changed.set()

    async def _collect(self, thread: ThreadPoolExecutor) -> None:
        missed = False
        while True:
            before = _identities(self._roots)
            if not any(before):
                _LOG.warning("source %s: nothing is there to watch", self._source.name)
                await asyncio.sleep(_ROOT_RETRY_S)
                continue
            try:
                missed = await self._follow(thread, before, missed=missed)
                continue
            except WatchLimitError as error:
                self._tell(
                    "the kernel gives no more inotify watches than %s says. Raise it (sysctl %s=…), or exclude what "
                    "need not be watched; tried again in %d s",
                    error.setting,
                    error.setting,
                    _LIMIT_RETRY_S,
                )
                await asyncio.sleep(_LIMIT_RETRY_S)
            except HoldfastError as error:
                self._tell("%s", error.message)
                await asyncio.sleep(_ROOT_RETRY_S)
            except OSError as error:
                self._tell("%s", error.strerror)
                await asyncio.sleep(_ROOT_RETRY_S)
            missed = True

    def _tell(self, why: str, *values: object) -> None:
        _LOG.warning("source %s cannot be watched: " + why, self._source.name, *values)

    async def _follow(
        self, thread: ThreadPoolExecutor, before: Sequence[tuple[int, ...]], *, missed: bool
    ) -> bool:
        """Watch until all is to be watched again; whether changes may have been missed.

        So it is when a root was exchanged (the kernel goes on watching what was there before), an exclude file was
        edited, a directory was marked or has lost its mark, or the kernel has lost count. missed: what has changed
        since the last watch ended is not known, so something has.
        """
        in_thread = asyncio.get_running_loop().run_in_executor
        excluded = exclude_files_state(self._source)
        scope = Scope(self._settings, self._source, self._environ)
        async with self._beginning:
            watch = await in_thread(thread, _begin, scope, self._roots)
        try:
            if watch.unread:
                _LOG.warning(
                    "source %s: %d directories in it cannot be read, and are not watched",
                    self._source.name,
                    watch.unread,
                )
            _LOG.info("watching the source %s", self._source.name)
            if missed:
                self.count({self._roots[0]: 0})
            while True:
                if await _readable(watch.fd, _LOOK_AGAIN_S):
                    await asyncio.sleep(_BATCH_S)
                try:
                    changed, whole = await in_thread(thread, watch.take)
                except WatchLimitError:
                    return True
                if changed:
                    self.count(await in_thread(thread, _sizes, scope, changed))
                if not whole or _identities(self._roots) != before:
                    return True
                if exclude_files_state(self._source) != excluded:
                    return True
                if any(map(scope.is_marker, changed)):
                    return False
        finally:
            await asyncio.shield(in_thread(thread, watch.close))

    async def _report(self, client: Client) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            changes = self._tally.taken()
            batch, again, self._batch, self._again = self._batch, self._again, set(), 0
            try:
                status = await report(client, self._settings, self._source, changes)
            except (RPCError, RPCTimeoutOrCancelledError, TimeoutError) as error:
                _LOG.info("source %s: changes could not be reported yet: %s", self._source.name, error)
            except WorkflowUpdateFailedError as error:
                _LOG.warning("source %s: the report was refused: %s", self._source.name, error.cause)
                if isinstance(error.cause, ApplicationError) and error.cause.type == REFUSED:
                    continue
            else:
                self._answered(status, batch, again)
                continue
            self._tally.give_back(changes)
            self._batch |= batch
            self._again += again
            await asyncio.sleep(_RETRY_S)
            self._changed.set()

    def _answered(self, status: WatchStatus, batch: set[bytes], again: int) -> None:
        """Once a backup has taken over what was pending, each path counts again: from this batch on, of which so many
        paths were taken for known."""
        known, self._since_ns = self._since_ns, status.pending_since_ns
        if status.pending_since_ns == known or not known:
            return
        self._seen = batch
        if again:
            self._tally.files += again
            self._changed.set()


@contextlib.asynccontextmanager
async def watching(
    settings: Settings, client: Client, sources: Sequence[SourceProfile], environ: Mapping[str, str]
) -> AsyncIterator[None]:
    """Watch sources while the context lasts. environ: for the exclude files."""
    beginning = asyncio.Lock()
    watchers = {source.name: SourceWatcher(settings, source, environ, beginning) for source in sources}
    tasks = [asyncio.create_task(_kept(name, watcher, client)) for name, watcher in watchers.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _kept(name: str, watcher: SourceWatcher, client: Client) -> None:
    """One watcher, which begins again after what nobody foresaw."""
    while True:
        try:
            await watcher.watch(client)
        except Exception:  # noqa: BLE001 - a watch that ends without a word is worse
            _LOG.exception("the watch of the source %s has failed, and begins again", name)
            await asyncio.sleep(_ROOT_RETRY_S)


def _begin(scope: Scope, roots: Sequence[bytes]) -> TreeWatch:
    watch = TreeWatch(scope.watches)
    try:
        for root in roots:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                watch.add_root(root)
    except BaseException:
        watch.close()
        raise
    return watch


def _sizes(scope: Scope, paths: set[bytes]) -> dict[bytes, int]:
    """Those paths that count, and the size of what is there, if it is a file."""
    scope.look_again()
    found = {}
    for path in paths:
        status = _status(path)
        if scope.counts(path, status):
            is_file = status is not None and modes.S_ISREG(status.st_mode)
            found[path] = status.st_size if status is not None and is_file else 0
    return found


async def _readable(fd: int, wait_s: float) -> bool:
    """Wait until there is something to read, at most so long."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        async with asyncio.timeout(wait_s):
            await ready.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fd)
    return True


def _status(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None  # deleted


def _identities(roots: Sequence[bytes]) -> list[tuple[int, ...]]:
    """Which directory each root is; nothing of one that is missing. Of anything else the name is watched."""
    found: list[tuple[int, ...]] = []
    for status in map(_status, roots):
        if status is None:
            found.append(())
        else:
            found.append((status.st_dev, status.st_ino) if modes.S_ISDIR(status.st_mode) else (0,))
    return found

"""Large files, and segments of very large ones: a stream of blocks, resumable inside the file, holes never read.

A file whose size, times or inode changed since the checkpoint is read again from its start; one that changes while it
is read likewise, at most MAX_READINGS times, after which it is stored as it was read and flagged.
"""

import os
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final, Protocol, TypeVar

from holdfast.backup.documents import Extent, Failed, FileToRead, OpenFile, Outcome, Stored
from holdfast.backup.store.blocks import BlockStream
from holdfast.backup.store.file_outcomes import (
    CHANGED_WARNING,
    MAX_READINGS,
    Identity,
    failed,
    incomplete,
)
from holdfast.backup.store.sink import BlobSink
from holdfast.backup.store.source_directories import SourceDirectories
from holdfast.backup.store.state import OpenFileState, ShardState
from holdfast.ids import BlobId
from holdfast.source.extents import data_extents
from holdfast.source.metadata import IncompleteNodeError, MetadataReader
from holdfast.source.open_file import open_regular_at

MIN_HOLE_BYTES: Final = 1024 * 1024
_BLOCK_UNIT_BYTES: Final = 512
ReturnT = TypeVar("ReturnT")


class Compute(Protocol):
    """Runs a function in the shard's computing thread."""

    def __call__(self, function: Callable[..., ReturnT], *arguments: object) -> Awaitable[ReturnT]: ...


class LargeFileReader:
    """Reads the large files of one shard."""

    def __init__(
        self,
        sink: BlobSink,
        metadata: MetadataReader,
        state: ShardState,
        directories: SourceDirectories,
        stream: BlockStream,
        compute: Compute,
        announce: Callable[[int], Awaitable[None]],
        hold_back: Callable[[int], Awaitable[None]],
    ) -> None:
        """announce: told how far will be read; hold_back: asked to wait for the bytes' turn, after they were read
        and before more is, so that being stopped meanwhile waits for no reading thread."""
        self._hold_back = hold_back
        self._sink = sink
        self._metadata = metadata
        self._state = state
        self._directories = directories
        self._stream = stream
        self._compute = compute
        self._announce = announce

    async def read(self, file: FileToRead, progressed: Callable[[], None]) -> None:
        """Store one file or segment and report its outcome to the state."""
        try:
            outcome = await self._read_until_steady(file, progressed)
        except IncompleteNodeError as error:
            outcome = incomplete(error)
        except OSError as error:
            outcome = failed(error)
        self._state.end_files([outcome], 0)

    async def _read_until_steady(self, file: FileToRead, progressed: Callable[[], None]) -> Outcome:
        for reading in range(1, MAX_READINGS + 1):
            directory = await self._compute(self._directories.open, file.directory)
            if isinstance(directory, Failed):
                return directory
            fd = await self._compute(open_regular_at, directory, file.name)
            try:
                before = os.fstat(fd)
                opened, offset = self._begin(file, before)
                end = await self._read_content(fd, before, file, opened, offset, progressed)
                size = end - file.start
                steady = Identity.of(os.fstat(fd)) == opened.identity and (file.end < 0 or end == file.end)
                if steady or reading == MAX_READINGS:
                    node = self._metadata.file_node(fd, file.name, before, content=opened.content, size=size)
                    return Stored(node, size, "" if steady else CHANGED_WARNING)
            finally:
                os.close(fd)
        return Failed(CHANGED_WARNING)

    def _begin(self, file: FileToRead, stat: os.stat_result) -> tuple[OpenFileState, int]:
        """Open the file in the state, where the checkpoint says so in its middle; the offset to go on from."""
        opened = OpenFileState(Identity.of(stat))
        resume: OpenFile | None = self._state.resume_file
        self._state.resume_file = None
        if resume is None or resume.identity != opened.identity.as_tuple():
            self._state.begin_file(opened, resumed_at=0)
            return opened, file.start
        opened.content.extend(BlobId(raw) for raw in resume.content)
        self._state.begin_file(opened, resumed_at=resume.offset)
        return opened, resume.offset

    async def _read_content(
        self,
        fd: int,
        stat: os.stat_result,
        file: FileToRead,
        opened: OpenFileState,
        offset: int,
        progressed: Callable[[], None],
    ) -> int:
        """Read and save from `offset` to the segment's end; where the file or segment ended, in bytes."""
        here = offset
        requested = self._state.position

        async def announce(length: int) -> None:
            nonlocal requested
            requested += length
            await self._announce(requested)

        def save(data: memoryview, *, final: bool) -> int:
            nonlocal here
            used = self._sink.save_chunks(data, opened.content, final=final)
            here += used
            self._state.reached_in_file(here, used)
            self._state.checkpoint_if_due()
            return used

        def skip_hole(length: int) -> None:
            nonlocal here
            self._sink.save_zeros(length, opened.content)
            here += length
            self._state.reached_in_file(here, 0)

        async def consume(data: memoryview, *, final: bool) -> int:
            used = await self._compute(partial(save, data, final=final))
            await self._hold_back(used)
            progressed()
            return used

        for extent in extents(fd, stat, offset, file.end):
            if extent.hole:
                await self._compute(skip_hole, extent.length)
                continue
            end = None if extent.length < 0 else extent.offset + extent.length
            got = await self._stream.feed(fd, extent.offset, end, consume, announce)
            if end is not None and got < extent.length:
                break
        return here


def extents(fd: int, stat: os.stat_result, start: int, end: int) -> Iterator[Extent]:
    """The stretches of data and the holes worth skipping between `start` and `end` (-1: the end of the file).

    A dense file is one stretch; with end -1 its length is -1 too: read until nothing comes. Holes under
    MIN_HOLE_BYTES are read as data, which the file system fills with zeros.
    """
    if stat.st_blocks * _BLOCK_UNIT_BYTES >= stat.st_size:
        yield Extent(start, end - start if end >= 0 else -1)
        return
    stop = stat.st_size if end < 0 else min(end, stat.st_size)
    data_start = start
    for offset, length, hole in data_extents(fd, stat.st_size):
        if not hole or length < MIN_HOLE_BYTES:
            continue
        hole_start, hole_end = max(offset, start), min(offset + length, stop)
        if hole_end <= hole_start:
            continue
        if hole_start > data_start:
            yield Extent(data_start, hole_start - data_start)
        yield Extent(hole_start, hole_end - hole_start, hole=True)
        data_start = hole_end
    if data_start < stop:
        yield Extent(data_start, stop - data_start)

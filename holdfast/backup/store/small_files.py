"""Small files: whole batches of them in one thread hop, each with as few system calls and Python steps as it takes.

open, fstat, read, flistxattr, fstat, close; then hash, look up, pack. Every file is read into one reused buffer.
A file that changes meanwhile is read again at once, at most MAX_READINGS times in all.
"""

import os

from holdfast.backup.documents import FileToRead, Outcome, Stored
from holdfast.backup.store.file_outcomes import (
    CHANGED_WARNING,
    MAX_READINGS,
    Identity,
    failed,
    incomplete,
    is_same,
)
from holdfast.backup.store.sink import BlobSink
from holdfast.buffers import BUFFERS
from holdfast.ids import BlobId
from holdfast.source.metadata import IncompleteNodeError, MetadataReader
from holdfast.source.open_file import open_regular_with_status_at


class OutgrownError(Exception):
    """The file is no longer small: read it as a large one."""


class SmallFileReader:
    """Reads small files of one shard. One thread uses it."""

    def __init__(self, sink: BlobSink, metadata: MetadataReader, small_file_bytes: int) -> None:
        self._sink = sink
        self._metadata = metadata
        self._small_file_bytes = small_file_bytes
        self._buffer = BUFFERS.take(small_file_bytes)
        self._links: dict[tuple[int, int], tuple[Identity, list[BlobId]]] = {}
        self._bytes_read = 0

    def release(self) -> None:
        """Hand the buffer on; the reader is of no use afterwards."""
        BUFFERS.give_back(self._buffer)
        self._buffer = self._buffer[:0]

    def read(self, directory_fd: int, file: FileToRead) -> Outcome:
        """Store one file.

        Raises:
            OutgrownError: it has become too large for this way of reading.
            StorageUnavailableError, StorageFullError, StorageDeniedError: from the packer.
        """
        try:
            return self._read_until_steady(directory_fd, file)
        except IncompleteNodeError as error:
            return incomplete(error)
        except OSError as error:
            return failed(error)

    def take_bytes_read(self) -> int:
        """Bytes read since the last call, repeated readings included."""
        taken, self._bytes_read = self._bytes_read, 0
        return taken

    def _read_until_steady(self, directory_fd: int, file: FileToRead) -> Stored:
        for reading in range(1, MAX_READINGS + 1):
            fd, before = open_regular_with_status_at(directory_fd, file.name)
            try:
                linked = self._content_of_link(before)
                if linked is not None:
                    size = before.st_size
                    node = self._metadata.file_node(fd, file.name, before, content=linked, size=size)
                    return Stored(node, size)
                view = self._fill(fd, before.st_size)
                steady = len(view) == before.st_size and is_same(before, os.fstat(fd))
                if not steady and reading < MAX_READINGS:
                    continue
                content: list[BlobId] = []
                self._sink.save_chunks(view, content, final=True)
                if steady and before.st_nlink > 1:
                    self._links[before.st_dev, before.st_ino] = (Identity.of(before), content)
                size = len(view)
                node = self._metadata.file_node(fd, file.name, before, content=content, size=size)
                return Stored(node, size, "" if steady else CHANGED_WARNING)
            finally:
                os.close(fd)
        raise OutgrownError

    def _fill(self, fd: int, size: int) -> memoryview:
        """Read `size` bytes, or what there is of them. Whether the file has grown is seen by its status afterwards."""
        if size >= self._small_file_bytes:
            raise OutgrownError
        filled = 0
        while filled < size:
            got = os.readv(fd, [self._buffer[filled:size]])
            if not got:
                break
            filled += got
        self._bytes_read += filled
        return self._buffer[:filled]

    def _content_of_link(self, stat: os.stat_result) -> list[BlobId] | None:
        if stat.st_nlink < 2:
            return None
        known = self._links.get((stat.st_dev, stat.st_ino))
        if known is None or known[0] != Identity.of(stat):
            return None
        return known[1]

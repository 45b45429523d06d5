"""A random sample of the files of a snapshot, for a trial restore: the same seed draws the same files.

Each path gets a number by a keyed hash of it and the seed; the sample is what has the lowest ones. So the tree is
walked once, and only the sample is ever held in memory.
"""

import hashlib
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from holdfast.drill.form import WHOLE_PERCENT, SampleSize
from holdfast.errors import IntegrityError
from holdfast.ids import BlobId
from holdfast.repository.packs.loader import BlobLoader

_NUMBER_BYTES: Final = 8
_NUMBERS: Final = 1 << (8 * _NUMBER_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was drawn, and from how much. Directories whose tree cannot be read are among the paths: they must fail."""

    paths: tuple[bytes, ...]
    files: int
    size_bytes: int
    files_of_all: int
    bytes_of_all: int


def draw(
    loader: BlobLoader, root: BlobId, size: SampleSize, seed: bytes, on_progress: Callable[[], None]
) -> Sample:
    """Draw from the files below a tree; at least one, where there is any."""
    drawn = _Drawn(size)
    lost: list[bytes] = []
    files_of_all = bytes_of_all = 0
    for path, file_bytes in _files(loader, root, lost, on_progress):
        files_of_all += 1
        bytes_of_all += file_bytes
        digest = hashlib.blake2b(path, key=seed[:64], digest_size=_NUMBER_BYTES).digest()
        drawn.offer(int.from_bytes(digest, "big"), path, file_bytes)
    files = drawn.files()
    return Sample(
        paths=tuple(sorted([*lost, *(path for path, _ in files)])),
        files=len(files),
        size_bytes=sum(file_bytes for _, file_bytes in files),
        files_of_all=files_of_all,
        bytes_of_all=bytes_of_all,
    )


class _Drawn:
    """The sample so far: a heap with the highest number on top."""

    def __init__(self, size: SampleSize) -> None:
        self._size = size
        self._limit = _NUMBERS if size.percent is None else int(_NUMBERS * size.percent / WHOLE_PERCENT)
        self._heap: list[tuple[int, bytes, int]] = []
        self._bytes = 0
        self._lowest: tuple[int, bytes, int] | None = None

    def offer(self, number: int, path: bytes, file_bytes: int) -> None:
        """Take a file if its number is low enough; others may have to go for it."""
        if self._lowest is None or number < self._lowest[0]:
            self._lowest = (number, path, file_bytes)
        if number >= self._limit:
            return
        heapq.heappush(self._heap, (-number, path, file_bytes))
        self._bytes += file_bytes
        if self._size.size_bytes is None:
            return
        while len(self._heap) > 1 and self._bytes - self._heap[0][2] >= self._size.size_bytes:
            self._bytes -= heapq.heappop(self._heap)[2]

    def files(self) -> list[tuple[bytes, int]]:
        """Paths and sizes."""
        if not self._heap and self._lowest is not None:
            return [self._lowest[1:]]
        return [(path, file_bytes) for _, path, file_bytes in self._heap]


def _files(
    loader: BlobLoader, root: BlobId, lost: list[bytes], on_progress: Callable[[], None]
) -> Iterator[tuple[bytes, int]]:
    pending = [(b"", root)]
    while pending:
        path, tree = pending.pop()
        on_progress()
        try:
            nodes = loader.load_tree(tree)
        except IntegrityError:
            if not path:
                raise
            lost.append(path)
            continue
        for node in nodes:
            child = path + b"/" + node.name
            if node.subtree_id is not None:
                pending.append((child, node.subtree_id))
            elif node.is_file:
                yield child, node.size

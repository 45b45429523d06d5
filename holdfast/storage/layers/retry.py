"""A request that found the storage unavailable is sent again, a few times, soon.

Two kinds of retries share the work. This one lasts for a second or two: it spares an activity its beginning when a
connection breaks, a server is restarted, or an fsync fails. What lasts longer is left to Temporal, which retries for
hours, and shows it.

A storage that asks to be left alone (Retry-After) is, where that is for some seconds: a longer wait is Temporal's too.

Only StorageUnavailableError is tried again. The contract makes that safe: every method, done twice, is done once. It
shows in one place only: `put_new` whose first answer was lost returns False about the caller's own file, which the
contract allows and callers expect.

What is not tried again:

- a read that the medium refused (a bad sector): the kernel has tried for seconds already, and would again;
- a listing of which a part was handed out: the caller has it already.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from holdfast.errors import StorageUnavailableError
from holdfast.storage.contract import Content, Storage, StoredFile
from holdfast.storage.layers.layer import Layer

_TRIES_NEAR: Final = 2
"""On a local disk: what fails twice is no coincidence."""
_TRIES_FAR: Final = 4
_LONGEST_PAUSE_S: Final = 10.0
_ROUND_TRIPS: Final = 5
"""A pause lasts so many round trips the first time, and three times as long each further time."""

ResultT = TypeVar("ResultT")


class Retrying(Layer):
    """`below`, with short retries. tries: by default two for a local directory, four for a place at a distance."""

    def __init__(
        self, below: Storage, *, tries: int | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(below)
        latency_s = below.traits.latency_s
        self._tries = tries or (_TRIES_FAR if latency_s else _TRIES_NEAR)
        self._first_pause_s = latency_s * _ROUND_TRIPS
        self._sleep = sleep

    def put(self, name: str, data: Content) -> None:
        """See the contract."""
        self._write(lambda: self.below.put(name, data))

    def put_new(self, name: str, data: Content) -> bool:
        """See the contract."""
        return self._write(lambda: self.below.put_new(name, data))

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See the contract."""
        return self._read(lambda: self.below.get(name, limit_bytes=limit_bytes))

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See the contract."""
        return self._read(lambda: self.below.get_range(name, offset, length))

    def get_into(self, name: str, buffer: memoryview) -> int:
        """See the contract."""
        return self._read(lambda: self.below.get_into(name, buffer))

    def get_range_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See the contract."""
        self._read(lambda: self.below.get_range_into(name, offset, buffer))

    def size(self, name: str) -> int:
        """See the contract."""
        return self._read(lambda: self.below.size(name))

    def size_or_none(self, name: str) -> int | None:
        """See the contract."""
        return self._read(lambda: self.below.size_or_none(name))

    def list(self, folder: str) -> Iterator[StoredFile]:
        """See the contract."""
        listing, first = self._read(lambda: _begun(self.below.list(folder)))
        if first is not None:
            yield first
            yield from listing

    def delete(self, name: str) -> None:
        """See the contract."""
        self._write(lambda: self.below.delete(name))

    def delete_many(self, names: Iterable[str]) -> None:
        """See the contract. What was handed on is asked for again; no name is taken twice."""
        handed: list[str] = []
        left = iter(names)

        def noted() -> Iterator[str]:
            yield from list(handed)
            for name in left:
                handed.append(name)
                yield name

        self._write(lambda: self.below.delete_many(noted()))

    def delete_folder(self, folder: str) -> None:
        """See the contract."""
        self._write(lambda: self.below.delete_folder(folder))

    def make_folders(self, folders: Iterable[str]) -> None:
        """See the contract."""
        wanted = list(folders)
        self._write(lambda: self.below.make_folders(wanted))

    def _read(self, request: Callable[[], ResultT]) -> ResultT:
        return self._again(request, after_medium_failed=False)

    def _write(self, request: Callable[[], ResultT]) -> ResultT:
        return self._again(request, after_medium_failed=True)

    def _again(self, request: Callable[[], ResultT], *, after_medium_failed: bool) -> ResultT:
        pause_s = self._first_pause_s
        for left in range(self._tries - 1, -1, -1):
            try:
                return request()
            except StorageUnavailableError as error:
                asked_s = error.retry_after_s
                if (
                    not left
                    or (error.medium_failed and not after_medium_failed)
                    or asked_s > _LONGEST_PAUSE_S
                ):
                    raise
            if pause_s or asked_s:
                self._sleep(max(pause_s, asked_s))
                pause_s *= 3
        raise AssertionError("the last try returns or raises")


def _begun(listing: Iterator[StoredFile]) -> tuple[Iterator[StoredFile], StoredFile | None]:
    """A listing whose first request has been sent: what fails there can be tried again."""
    return listing, next(listing, None)

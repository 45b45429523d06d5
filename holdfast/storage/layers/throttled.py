"""This layer keeps to a rate what is written to a storage and read from it, packs and index files.

A file is one request, and waits as a whole until the bytes before it have been paid for: the average keeps to the rate.
What is small does not wait: a lock that is late is a lock that is lost.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from holdfast.ids import sha256
from holdfast.pace import Pace, RateRules, SharedPace, wait_out
from holdfast.storage.contract import Content, Storage, parts_of
from holdfast.storage.layers.layer import Layer

_BULK: Final = ("data/", "index/")
_NAME_DIGITS: Final = 32


class Throttled(Layer):
    """`below`, at these paces; None where there is no limit."""

    def __init__(
        self,
        below: Storage,
        *,
        upload: Pace | None,
        download: Pace | None,
        wait: Callable[[float], None] | None = None,
    ) -> None:
        super().__init__(below)
        self._upload, self._download = upload, download
        self._wait = wait or _wait

    def put(self, name: str, data: Content) -> None:
        """See the contract."""
        self._pay(self._upload, name, sum(map(len, parts_of(data))))
        self.below.put(name, data)

    def put_new(self, name: str, data: Content) -> bool:
        """See the contract."""
        self._pay(self._upload, name, sum(map(len, parts_of(data))))
        return self.below.put_new(name, data)

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See the contract."""
        data = self.below.get(name, limit_bytes=limit_bytes)
        self._pay(self._download, name, len(data))
        return data

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See the contract."""
        self._pay(self._download, name, length)
        return self.below.get_range(name, offset, length)

    def get_into(self, name: str, buffer: memoryview) -> int:
        """See the contract."""
        size = self.below.get_into(name, buffer)
        self._pay(self._download, name, size)
        return size

    def get_range_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See the contract."""
        self._pay(self._download, name, len(buffer))
        self.below.get_range_into(name, offset, buffer)

    def _pay(self, pace: Pace | None, name: str, count: int) -> None:
        if pace is not None and name.startswith(_BULK):
            self._wait(pace.spend(count))


def throttled(storage: Storage, upload: RateRules, download: RateRules, ledgers: Path) -> Storage:
    """The storage at these rates, which all processes of the host share that have one folder for `ledgers`; itself
    where there is no limit."""
    if not (upload.limits or download.limits):
        return storage
    place = sha256(storage.location.encode("utf-8", "surrogateescape")).hex()[:_NAME_DIGITS]
    return Throttled(
        storage,
        upload=SharedPace(upload, ledgers / f"{place}.up") if upload.limits else None,
        download=SharedPace(download, ledgers / f"{place}.down") if download.limits else None,
    )


def _wait(seconds: float) -> None:
    wait_out(seconds, lambda: None)

"""What storages that are reached by requests have in common, whatever the requests are.

A file is written by one request: whole or not there, durable with the answer, and nothing is ever left over.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from holdfast.errors import CorruptFileError, StorageUnavailableError, StoredFileMissingError
from holdfast.storage.contract import Traits, check_name


class DistantStorage(ABC):
    """The part of the contract that is the same for all of them."""

    def __init__(self, location: str, traits: Traits) -> None:
        self._location = location
        self._traits = traits

    @property
    def location(self) -> str:
        """The location that it was made from."""
        return self._location

    @property
    def settle_s(self) -> float:
        """See the contract. What was written or deleted is listed so at once: S3 has done that since 2020."""
        return 0.0

    @property
    def traits(self) -> Traits:
        """See the contract."""
        return self._traits

    @abstractmethod
    def size_or_none(self, name: str) -> int | None:
        """See the contract."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """See the contract."""

    @abstractmethod
    def _read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """Fill a buffer, which is not empty, from the file."""

    def size(self, name: str) -> int:
        """See the contract."""
        size = self.size_or_none(name)
        if size is None:
            raise StoredFileMissingError(f"{self._what(name)}: there is no such file")
        return size

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See the contract."""
        memory = bytearray(length)
        self.get_range_into(name, offset, memoryview(memory))
        return bytes(memory)

    def get_range_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See the contract. No request asks for no bytes, so then the size decides."""
        if len(buffer):
            self._read_into(name, offset, buffer)
        elif offset > (size := self.size(name)):
            raise self._too_short(name, size, offset)

    def make_folders(self, folders: Iterable[str]) -> None:
        """There are none, or the server makes its own with the first file."""
        for folder in folders:
            check_name(folder)

    def remove_leftovers(self, *, older_than_s: float, dry_run: bool = False) -> int:  # noqa: ARG002 -- the contract's
        """Nothing of ours is ever left over."""
        return 0

    def _delete_each(self, names: Iterable[str]) -> None:
        """By a request for each. Names are taken as requests are sent: what yields them may end it."""
        pending = map(check_name, names)
        with ThreadPoolExecutor(self._traits.requests) as pool:
            while batch := list(islice(pending, self._traits.requests)):
                for _ in pool.map(self.delete, batch):
                    pass

    def _what(self, name: str) -> str:
        return f"{self._location}: {name}"

    def _check_size(self, name: str, size: int, limit_bytes: int) -> None:
        if size > limit_bytes:
            raise CorruptFileError(
                f"{self._what(name)}: {size} bytes, more than the {limit_bytes} that are plausible"
            )

    def _fill(self, name: str, chunks: Iterable[bytes | memoryview], buffer: memoryview) -> None:
        """Fill a buffer with what comes; more or less than what was announced is an answer that broke off."""
        have = 0
        for chunk in chunks:
            more = len(chunk)
            if have + more > len(buffer):
                break
            buffer[have : have + more] = chunk
            have += more
        if have != len(buffer):
            raise StorageUnavailableError(
                f"{self._what(name)}: {have} bytes came where {len(buffer)} were announced"
            )

    def _too_short(self, name: str, size: int, needed: int) -> CorruptFileError:
        return CorruptFileError(
            f"{self._what(name)}: ends at {size} bytes where {needed} are needed",
            hint="The file was cut off; `restic check` tells what it held.",
        )

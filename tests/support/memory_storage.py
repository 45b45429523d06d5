"""Memory serves as a storage, for tests of what lies above one."""

import threading
import time
from collections.abc import Iterable, Iterator

from holdfast.errors import CorruptFileError, StoredFileMissingError
from holdfast.storage.contract import Content, StoredFile, Traits, check_name, parts_of


class MemoryStorage:
    """Files in a dictionary. Durable as long as the process lives."""

    def __init__(self, label: str = "memory") -> None:
        self._label = label
        self._files: dict[str, bytes] = {}
        self._written_ns: dict[str, int] = {}
        self._traits = Traits()
        self._lock = threading.Lock()

    @property
    def location(self) -> str:
        """The label that it was made with."""
        return self._label

    @property
    def settle_s(self) -> float:
        """See the contract."""
        return 0.0

    @property
    def traits(self) -> Traits:
        """See the contract."""
        return self._traits

    def put(self, name: str, data: Content) -> None:
        """See the contract."""
        content = b"".join(parts_of(data))
        with self._lock:
            self._files[check_name(name)] = content
            self._written_ns[name] = time.time_ns()

    def put_new(self, name: str, data: Content) -> bool:
        """See the contract."""
        content = b"".join(parts_of(data))
        with self._lock:
            if check_name(name) in self._files:
                return False
            self._files[name] = content
            self._written_ns[name] = time.time_ns()
            return True

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See the contract."""
        content = self._content(name)
        if len(content) > limit_bytes:
            raise CorruptFileError(
                f"{name}: {len(content)} bytes, more than the {limit_bytes} that are plausible"
            )
        return content

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See the contract."""
        content = self._content(name)
        if offset + length > len(content):
            raise CorruptFileError(f"{name}: ends at {len(content)} bytes where {offset + length} are needed")
        return content[offset : offset + length]

    def get_into(self, name: str, buffer: memoryview) -> int:
        """See the contract."""
        content = self.get(name, limit_bytes=len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def get_range_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See the contract."""
        buffer[:] = self.get_range(name, offset, len(buffer))

    def size(self, name: str) -> int:
        """See the contract."""
        return len(self._content(name))

    def size_or_none(self, name: str) -> int | None:
        """See the contract."""
        with self._lock:
            content = self._files.get(check_name(name))
        return None if content is None else len(content)

    def list(self, folder: str) -> Iterator[StoredFile]:
        """See the contract."""
        prefix = check_name(folder) + "/"
        with self._lock:
            found = [
                StoredFile(name, len(data), self._written_ns[name])
                for name, data in self._files.items()
                if name.startswith(prefix)
            ]
        yield from found

    def delete(self, name: str) -> None:
        """See the contract."""
        self.delete_many([name])

    def delete_many(self, names: Iterable[str]) -> None:
        """See the contract."""
        for name in names:
            check_name(name)
            with self._lock:
                self._files.pop(name, None)
                self._written_ns.pop(name, None)

    def delete_folder(self, folder: str) -> None:
        """See the contract."""
        self.delete_many([stored.name for stored in self.list(folder)])

    def make_folders(self, folders: Iterable[str]) -> None:
        """See the contract."""
        for folder in folders:
            check_name(folder)

    def remove_leftovers(self, *, older_than_s: float, dry_run: bool = False) -> int:
        """Nothing is ever left over."""
        return 0

    def close(self) -> None:
        """Nothing is held open."""

    def _content(self, name: str) -> bytes:
        with self._lock:
            content = self._files.get(check_name(name))
        if content is None:
            raise StoredFileMissingError(f"{self._label}: there is no file {name}")
        return content

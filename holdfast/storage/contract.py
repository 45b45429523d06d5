"""The contract of a storage: what the repository may rely on, whatever holds the bytes.

Rules for every implementation, held by one conformance suite (tests/storage):

- Names are relative, of ASCII letters, digits, `.`, `_` and `-`, with `/` between folders; no part is `.` or `..`.
- `put` and `put_new` are atomic and durable when they return: no reader ever sees half a file under its name, and a
  power cut afterwards does not take it away. Of several `put_new` for one name exactly one returns True, and one
  that returns False promises that the file it lost against is durable.
- What an interrupted write leaves behind is never listed, and `remove_leftovers` takes it away.
- Every method may be called from several threads and several processes at once.
- Only errors of `holdfast.errors` come out: StorageDeniedError, StorageFullError, StorageUnavailableError,
  StoredFileMissingError, CorruptFileError; UsageError for a name that breaks the rules above.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, runtime_checkable

from typing_extensions import Buffer

from holdfast.errors import UsageError

Content: TypeAlias = Buffer | Sequence[Buffer]
"""A file's bytes: one buffer, or a list or tuple of buffers that are stored one after the other."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_FORBIDDEN_PARTS: Final = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file as a listing shows it; `name` is relative to the storage, not to the listed folder."""

    name: str
    size_bytes: int


class Storage(Protocol):
    """Files under names. Synchronous: callers use threads."""

    @property
    def location(self) -> str:
        """Where this is, for people; never with credentials."""
        ...

    @property
    def settle_s(self) -> float:
        """For how long a listing may miss what was just written, in seconds; 0 where it never does."""
        ...

    def put(self, name: str, data: Content) -> None:
        """Store a file, in place of one that may be there."""
        ...

    def put_new(self, name: str, data: Content) -> bool:
        """Store a file if there is none of that name; whether this call did it."""
        ...

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """The whole file.

        Raises:
            StoredFileMissingError: there is none.
            CorruptFileError: it is larger than `limit_bytes`.
        """
        ...

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on.

        Raises:
            StoredFileMissingError: there is no such file.
            CorruptFileError: the file ends before.
        """
        ...

    def size(self, name: str) -> int:
        """The file's size in bytes. Raises StoredFileMissingError when there is none."""
        ...

    def size_or_none(self, name: str) -> int | None:
        """The file's size in bytes, or None when there is none."""
        ...

    def list(self, folder: str) -> Iterator[StoredFile]:
        """All files under a folder and its subfolders, in any order; nothing when the folder does not exist."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file, durably; one that is not there is fine."""
        ...

    def delete_folder(self, folder: str) -> None:
        """Remove all files under a folder, and the folder; one that is not there is fine."""
        ...

    def make_folders(self, folders: Iterable[str]) -> None:
        """Create folders where the storage knows such things; elsewhere nothing happens."""
        ...

    def remove_leftovers(self, *, older_than_s: float) -> int:
        """Remove what interrupted writes have left and what is older than that; how many there were."""
        ...


@runtime_checkable
class ReadsInto(Protocol):
    """What a storage may offer besides: reading a file into memory that is there already. Fresh memory is slow."""

    def get_into(self, name: str, buffer: memoryview) -> int:
        """Read the whole file to the beginning of `buffer`; its size.

        Raises:
            StoredFileMissingError: there is none.
            CorruptFileError: it is larger than the buffer.
        """
        ...


@runtime_checkable
class ReadsRangeInto(Protocol):
    """The same for a part of a file."""

    def get_range_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with what begins at `offset`. Raises as `Storage.get_range`."""
        ...


def check_name(name: str) -> str:
    """The name itself, if it keeps the rules. Raises UsageError."""
    if not _NAME.fullmatch(name) or not _FORBIDDEN_PARTS.isdisjoint(name.split("/")):
        raise UsageError(f"not a name for a stored file: {name[:100]!r}")
    return name


def parts_of(data: Content) -> list[memoryview]:
    """The content as flat byte views."""
    if isinstance(data, list | tuple):
        return [memoryview(part).cast("B") for part in data]
    return [memoryview(data).cast("B")]  # type: ignore[arg-type]  # Buffer has no runtime check before 3.12

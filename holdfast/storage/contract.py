"""The contract of a storage says what the repository may rely on, whatever holds the bytes.

Rules for every implementation, held by one conformance suite (tests/storage/conformance.py):

- Names are relative, of ASCII letters, digits, `.`, `_` and `-`, with `/` between folders; no part is `.` or `..`.
- `put` and `put_new` are atomic and durable when they return: no reader ever sees half a file under its name, and a
  power cut afterwards does not take it away.
- What was written is read and listed at once, by every process on every host. A place that cannot promise this is no
  storage: its implementation refuses it when it is made.
- What was deleted is no longer read; a listing may still show it for `settle_s`.
- Of several `put_new` for one name *at most* one returns True, and one that returns False promises that the file
  which has the name is durable. It may be the caller's own: the answer to a request that was carried out can be lost,
  and the same request sent again finds its own file. So a caller that got False reads what stands and goes by that.
- A method that raises may have done its work all the same, for the same reason. Each may be called again with the
  same arguments: done twice is done once.
- What an interrupted write leaves behind is never listed, and `remove_leftovers` takes it away.
- Every method may be called from several threads and several processes at once.
- Making a storage reads nothing, connects to nothing and begins no thread. It is used only by the process that used
  it first: a process that forks makes its storages afterwards, or hands over one that nobody has used yet.
- Only errors of `holdfast.errors` come out: StorageDeniedError, StorageFullError, StorageUnavailableError,
  StoredFileMissingError, CorruptFileError; UsageError for a name that breaks the rules above.

What differs between places without being right or wrong stands in `Traits`. docs/adr/0042-storage-contract.md has the
reasons.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from typing_extensions import Buffer

from holdfast.errors import UsageError

Content: TypeAlias = Buffer | Sequence[Buffer]
"""A file's bytes: one buffer, or a list or tuple of buffers that are stored one after the other."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_FORBIDDEN_PARTS: Final = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file as a listing shows it; `name` is relative to the storage, not to the listed folder.

    modified_ns: when it was written, since 1970, by the storage's own clock.
    """

    name: str
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """How a storage is used best, and what it can do. The defaults are those of a directory on a local disk.

    requests: how many small requests of one process at once bring the most. transfers: the same for packs and parts
    of packs, for each piece of work (a process has several). range_bytes: beyond this, one read is no faster than
    two. gap_bytes: reading over so much that nobody wants costs less than one more request. latency_s: about how
    long one small request takes.

    creates_only: `put_new` decides between callers. replaces: `put` may take the place of a file. any_name: all names
    that keep the rules are allowed, not only those of restic's layout. directory: where the files lie, if they lie in
    a directory of this host: no backup takes it in, and no restore may delete it.
    """

    requests: int = 8
    transfers: int = 2
    range_bytes: int = 8 * 1024 * 1024
    gap_bytes: int = 128 * 1024
    latency_s: float = 0.0
    creates_only: bool = True
    replaces: bool = True
    any_name: bool = True
    directory: Path | None = None

    @property
    def keeps_documents(self) -> bool:
        """Whether documents of runs can lie here: they have names of our own, are decided once, and replaced."""
        return self.creates_only and self.replaces and self.any_name


class Storage(Protocol):
    """Files under names. Synchronous: callers use threads."""

    @property
    def location(self) -> str:
        """Where this is, for people; never with credentials."""
        ...

    @property
    def settle_s(self) -> float:
        """For how long a listing may still show what was deleted, in seconds; 0 where it never does."""
        ...

    @property
    def traits(self) -> Traits:
        """How to use this one. Always the same; asking costs nothing."""
        ...

    def put(self, name: str, data: Content) -> None:
        """Store a file, in place of one that may be there."""
        ...

    def put_new(self, name: str, data: Content) -> bool:
        """Store a file if there is none of that name. True: this call did it. False: read what stands, see above."""
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

    def get_into(self, name: str, buffer: memoryview) -> int:
        """Read the whole file to the beginning of `buffer`; its size. Memory that is there already is the faster one.

        Raises:
            StoredFileMissingError: there is none.
            CorruptFileError: it is larger than the buffer.
        """
        ...

    def get_range_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with what begins at `offset`. Raises as `get_range`."""
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

    def delete_many(self, names: Iterable[str]) -> None:
        """Remove files, durably, in as few requests as can be; in any order, and of some only when it fails.

        Names are taken as requests need them, never all first: the caller may look at a lock before it gives each.
        """
        ...

    def delete_folder(self, folder: str) -> None:
        """Remove all files under a folder, and the folder; one that is not there is fine."""
        ...

    def make_folders(self, folders: Iterable[str]) -> None:
        """Create folders where the storage knows such things; elsewhere nothing happens."""
        ...

    def remove_leftovers(self, *, older_than_s: float, dry_run: bool = False) -> int:
        """Remove what interrupted writes have left and what is older than that; how many there were.

        dry_run: only count them.
        """
        ...

    def close(self) -> None:
        """Give connections back. A later use opens them again."""
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

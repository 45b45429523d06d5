"""Documents of our own in the companion of a repository, sealed with its key, each bound to its name.

A stored document is sealed as a whole:

    version (1 byte) || length of the name (u16, big-endian) || folder and name || zstd of the data

The name is in there so that nobody without the key can hand out one document in place of another.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

import zstandard

from holdfast.crypto.sealing import OVERHEAD_BYTES
from holdfast.errors import CorruptFileError, StoredFileMissingError, UsageError
from holdfast.format.sealed import decompress
from holdfast.repository.repository import Repository
from holdfast.repository.second_look import looked_at_again
from holdfast.storage.contract import Storage, Traits, check_name

MAX_DOCUMENT_BYTES: Final = 256 * 1024 * 1024
_HEAD: Final = struct.Struct(">BH")
_VERSION: Final = 1
_LEVEL: Final = 1
"""What level 3 makes of documents is not smaller, and takes nearly twice as long."""
_STORED_LIMIT_BYTES: Final = MAX_DOCUMENT_BYTES + (1 << 20)


class SealedFolder:
    """The documents under one folder. Thread-safe. Names are those of stored files (storage/contract.py)."""

    hint: ClassVar[str] = "The document is damaged: remove it if nothing else helps."

    def __init__(
        self, repository: Repository, folder: str, storage: Storage | None = None, *, may_lack: bool = False
    ) -> None:
        """storage: one of the repository's; its companion by default. may_lack: it may be one that keeps no documents.

        Raises UsageError where it must keep them and cannot (`Traits.keeps_documents`).
        """
        self._storage = repository.companion if storage is None else storage
        if not may_lack and not self.traits.keeps_documents:
            raise UsageError(
                f"{self._storage.location}: documents of runs cannot be kept there",
                hint="Name a place that takes any name and replaces files: `companion` in the repository's settings.",
            )
        self.repository = repository
        self._folder = folder

    @property
    def traits(self) -> Traits:
        """How the storage that holds the documents is used best."""
        return self._storage.traits

    def put(self, name: str, data: bytes) -> None:
        """Store a document, in place of one that may be there; durable on return.

        Raises:
            UsageError: more than MAX_DOCUMENT_BYTES.
        """
        path = self._path(name)
        self._storage.put(path, self._seal(path, data))

    def put_new(self, name: str, data: bytes) -> bool:
        """Store a document if there is none of that name; whether this call did it. Durable either way."""
        path = self._path(name)
        return self._storage.put_new(path, self._seal(path, data))

    def get(self, name: str) -> bytes | None:
        """A document, or None when there is none.

        Raises:
            CorruptFileError: what is stored is not authentic, or not the document of that name.
        """
        path = self._path(name)
        return looked_at_again(self._storage, lambda: self._get(path))

    def _get(self, path: str) -> bytes | None:
        try:
            stored = self._storage.get(path, limit_bytes=_STORED_LIMIT_BYTES)
        except StoredFileMissingError:
            return None
        try:
            return self._open(path, stored)
        except CorruptFileError as error:
            raise CorruptFileError(
                f"{path}: {error.message}",
                hint=self.hint,
            ) from error

    def has(self, name: str) -> bool:
        """Whether there is a document of that name."""
        return self._storage.size_or_none(self._path(name)) is not None

    def list(self, folder: str = "") -> Iterator[str]:
        """The names of the documents under a folder (all without one), in any order."""
        start = len(self._folder) + 1
        for stored in self._storage.list(self._path(folder) if folder else self._folder):
            yield stored.name[start:]

    def remove(self, name: str) -> None:
        """Remove a document; one that is not there is fine."""
        self._storage.delete(self._path(name))

    def remove_many(self, names: Iterable[str]) -> None:
        """Remove documents; those that are not there are fine."""
        self._storage.delete_many(self._path(name) for name in names)

    def delete(self) -> None:
        """Remove all documents of the folder."""
        self._storage.delete_folder(self._folder)

    def _path(self, name: str) -> str:
        return check_name(f"{self._folder}/{name}")

    def _seal(self, path: str, data: bytes) -> bytes:
        if len(data) > MAX_DOCUMENT_BYTES:
            raise UsageError(f"a document of {len(data)} bytes is too large")
        bound = path.encode()
        compressed = zstandard.ZstdCompressor(level=_LEVEL).compress(data)
        return self.repository.sealer().seal(b"".join((_HEAD.pack(_VERSION, len(bound)), bound, compressed)))

    def _open(self, path: str, stored: bytes) -> bytes:
        if len(stored) < OVERHEAD_BYTES + _HEAD.size:
            raise CorruptFileError("too short for a document")
        plaintext = self.repository.sealer().open(stored)
        version, length = _HEAD.unpack_from(plaintext)
        if version != _VERSION:
            raise CorruptFileError(f"a document of version {version}, which this program does not know")
        end = _HEAD.size + length
        if plaintext[_HEAD.size : end] != path.encode():
            raise CorruptFileError("the document of another name")
        return decompress(plaintext[end:], limit_bytes=MAX_DOCUMENT_BYTES)

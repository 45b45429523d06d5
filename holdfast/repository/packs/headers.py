"""The header of a pack is read from its end: in one request mostly, in two where it is long.

How much the first request brings is a guess that has room for 400 blobs; a pack of large files has fewer, one of small
files more.
"""

from functools import partial
from typing import Final

from holdfast.format.index import HEADER_LENGTH_BYTES, BlobEntry
from holdfast.format.pack_header import parse_tail, tail_length
from holdfast.ids import PackId
from holdfast.repository.layout import pack_name
from holdfast.repository.repository import Repository
from holdfast.repository.second_look import looked_at_again

_FIRST_BYTES: Final = 16 * 1024


def read_header(repository: Repository, pack: PackId, size_bytes: int) -> tuple[BlobEntry, ...]:
    """The blobs that a pack of this size says it holds.

    Raises:
        StoredFileMissingError: it is not there.
        CorruptFileError: its header is not authentic, or is that of a pack of another size.
        StorageUnavailableError: it cannot be read just now.
    """
    return looked_at_again(repository.storage, partial(_read_header, repository, pack, size_bytes))


def _read_header(repository: Repository, pack: PackId, size_bytes: int) -> tuple[BlobEntry, ...]:
    wanted = min(size_bytes, _FIRST_BYTES)
    tail = _end_of(repository, pack, size_bytes, wanted)
    length = tail_length(tail, size_bytes)
    if length > wanted:
        tail = _end_of(repository, pack, size_bytes, length)
    return parse_tail(repository.sealer(), tail, size_bytes)


def _end_of(repository: Repository, pack: PackId, size_bytes: int, length: int) -> bytes:
    length = max(length, HEADER_LENGTH_BYTES)
    return repository.storage.get_range(pack_name(pack), max(0, size_bytes - length), length)

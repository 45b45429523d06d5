"""File records in bulk: chunks of JSON lines, compressed, cut by count and by size.

A path is text where it is UTF-8 and base64 of its bytes where it is not, so that the lines stay readable to people
and nothing is lost. What is decoded is bounded: the database is a file like any other and may be damaged.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final

import msgspec
import zstandard

from holdfast.errors import JournalUnavailableError

MAX_RECORDS: Final = 10_000
MAX_LINES_BYTES: Final = 8 << 20
_LARGEST_RECORD_BYTES: Final = 1 << 20
_MAX_MESSAGE: Final = 2_000
_LEVEL: Final = 3


class FileAction(StrEnum):
    """What became of a path. The first two are of backups, the next six of restores, the rest of both."""

    NEW = "new"
    CHANGED = "changed"
    RESTORED = "restored"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    DELETED = "deleted"
    FAILED = "failed"
    UNREADABLE = "unreadable"
    WARNING = "warning"
    DAMAGED = "damaged"


WRONG_ACTIONS: Final = frozenset((FileAction.FAILED, FileAction.UNREADABLE, FileAction.DAMAGED))
"""What a run could not do right by."""


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One path of a run. size_bytes is the file's size, 0 where it is not known; message says why it went wrong."""

    path: bytes
    action: FileAction
    size_bytes: int = 0
    message: str = ""


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    path: str = ""
    path_base64: str = ""
    action: FileAction
    size_bytes: int = 0
    message: str = ""


_LINE_ENCODER: Final = msgspec.json.Encoder()
_LINE_DECODER: Final = msgspec.json.Decoder(_Line)


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive records of a run, ready to be stored."""

    records: int
    actions: frozenset[FileAction]
    lines: bytes


def encode_chunks(files: Iterable[FileRecord]) -> Iterator[Chunk]:
    """Cut `files` into chunks of at most MAX_RECORDS records and about MAX_LINES_BYTES bytes of lines."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    records, actions, lines = 0, set[FileAction](), bytearray()
    for file in files:
        lines += _LINE_ENCODER.encode(_line(file))
        lines += b"\n"
        records += 1
        actions.add(file.action)
        if records == MAX_RECORDS or len(lines) >= MAX_LINES_BYTES:
            yield Chunk(records=records, actions=frozenset(actions), lines=compressor.compress(lines))
            records, actions, lines = 0, set(), bytearray()
    if records:
        yield Chunk(records=records, actions=frozenset(actions), lines=compressor.compress(lines))


def decode_lines(compressed: bytes) -> Iterator[FileRecord]:
    """The records of one chunk.

    Raises:
        JournalUnavailableError: these are not lines that `encode_chunks` wrote.
    """
    try:
        lines = zstandard.ZstdDecompressor().decompress(
            compressed, max_output_size=MAX_LINES_BYTES + _LARGEST_RECORD_BYTES
        )
        for line in lines.splitlines():
            yield _record(_LINE_DECODER.decode(line))
    except (zstandard.ZstdError, msgspec.DecodeError, binascii.Error) as error:
        raise JournalUnavailableError(
            "the journal holds a list of files that cannot be read",
            hint="The snapshot itself is not touched by this; `holdfast ls` lists its files.",
        ) from error


def _line(file: FileRecord) -> _Line:
    message = clean_text(file.message[:_MAX_MESSAGE]) if file.message else ""
    try:
        path = file.path.decode()
    except UnicodeDecodeError:
        encoded = base64.b64encode(file.path).decode()
        return _Line(path_base64=encoded, action=file.action, size_bytes=file.size_bytes, message=message)
    return _Line(path=path, action=file.action, size_bytes=file.size_bytes, message=message)


def _record(line: _Line) -> FileRecord:
    path = base64.b64decode(line.path_base64, validate=True) if line.path_base64 else line.path.encode()
    return FileRecord(path=path, action=line.action, size_bytes=line.size_bytes, message=line.message)


def clean_text(text: str) -> str:
    """`text` with lone surrogates (bytes that are not UTF-8) and NUL written as escapes: databases refuse them."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("\0", "\\x00")

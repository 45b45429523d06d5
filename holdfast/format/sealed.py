"""Unpacked files (config, index, snapshot, lock) are JSON, compressed in version 2, sealed.

Version 2 writes `0x02 || zstd(JSON)` for index, snapshot and lock; plaintext that begins with `{` or `[` is bare JSON,
in both versions and for `config` always. Source: restic, doc/design.rst, "Unpacked Data Format".
"""

from typing import Final

import zstandard

from holdfast.crypto.sealing import Sealer
from holdfast.errors import CorruptFileError

_COMPRESSED: Final = b"\x02"
_JSON_STARTS: Final = (b"{", b"[")
_LEVEL: Final = 3
DEFAULT_LIMIT_BYTES: Final = 256 * 1024 * 1024


def encode_file(sealer: Sealer, json: bytes, *, version: int) -> bytes:
    """The stored bytes of an unpacked file other than `config`."""
    if version < 2:
        return sealer.seal(json)
    return sealer.seal(_COMPRESSED + zstandard.ZstdCompressor(level=_LEVEL).compress(json))


def decode_file(sealer: Sealer, stored: bytes, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> bytes:
    """The JSON of an unpacked file.

    Raises:
        CorruptFileError: not authentic, of an unknown encoding, or larger than `limit_bytes` when expanded.
    """
    plaintext = sealer.open(stored)
    if plaintext[:1] in _JSON_STARTS:
        return plaintext
    if plaintext[:1] != _COMPRESSED:
        raise CorruptFileError("a stored file has an unknown encoding")
    return decompress(plaintext[1:], limit_bytes=limit_bytes)


def decompress(data: bytes, *, limit_bytes: int) -> bytes:
    """Expand one zstd frame of at most `limit_bytes`; frames without a content size, which restic writes, included.

    Raises:
        CorruptFileError: not one whole zstd frame, or larger.
    """
    try:
        declared = zstandard.frame_content_size(data)
        if declared > limit_bytes:
            raise CorruptFileError(
                f"compressed data claims {declared} bytes, more than the {limit_bytes} allowed"
            )
        # Read in steps: memory grows with what is really there, not with what a frame claims.
        reader = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=False)
        expanded = reader.read(limit_bytes + 1)
    except zstandard.ZstdError as error:
        raise CorruptFileError(f"compressed data cannot be expanded: {error}") from error
    if len(expanded) > limit_bytes:
        raise CorruptFileError(f"compressed data expands to more than the {limit_bytes} bytes allowed")
    if declared >= 0 and len(expanded) != declared:
        raise CorruptFileError("compressed data ends before its frame does")
    return expanded

"""The smallest blob that a pack can hold is its overhead alone."""

import msgspec
import pytest

from holdfast.crypto.sealing import OVERHEAD_BYTES, MasterKey, Sealer
from holdfast.errors import CorruptFileError
from holdfast.format.index import BlobEntry, BlobType
from holdfast.format.pack import BlobDecoder
from holdfast.ids import BlobId, sha256


def test_an_empty_blob_is_read_and_less_than_that_is_refused() -> None:
    key = MasterKey.random()
    sealed = Sealer(key).seal(b"")
    whole = BlobEntry(
        id=BlobId(sha256(b"")), type=BlobType.DATA, offset=0, length=OVERHEAD_BYTES, uncompressed_length=0
    )
    decoder = BlobDecoder(key)
    [(found, plaintext)] = decoder.decode_in_place(memoryview(bytearray(sealed)), [whole], 0)
    assert (found, bytes(plaintext)) == (whole.id, b"")
    short = msgspec.structs.replace(whole, length=OVERHEAD_BYTES - 1)
    with pytest.raises(CorruptFileError, match="shorter than its own overhead"):
        list(decoder.decode_in_place(memoryview(bytearray(sealed)), [short], 0))

"""Compressing blobs: what does not shrink stays as it is, and is not tried at full length each time."""

import random

import pytest

from holdfast.format.index import BlobType
from holdfast.format.pack import BlobCompressor, Compression

MIB = 1 << 20
TEXT = b"".join(b"%d: a line of text\n" % number for number in range(MIB // 16))[:MIB]


def noise(number: int) -> bytes:
    return random.Random(number).randbytes(MIB)


class Compressing:
    """A compressor of data blobs."""

    def __init__(self, version: int = 2, compression: Compression = Compression.AUTO) -> None:
        self._compressor = BlobCompressor(BlobType.DATA, compression, version)

    def shrunk(self, plaintext: bytes) -> int:
        """The bytes that it is stored in before it is sealed, or 0 where that is as it was."""
        data, plain_bytes = self._compressor.compress(plaintext)
        assert plain_bytes == (len(plaintext) if data is not plaintext else 0)
        return len(data) if plain_bytes else 0


def test_what_shrinks_after_much_that_did_not_is_compressed() -> None:
    compressing = Compressing()
    for number in range(20):
        assert not compressing.shrunk(noise(number))

    assert 0 < compressing.shrunk(TEXT) < MIB // 2


def test_a_stretch_that_shrinks_is_found_by_samples() -> None:
    compressing = Compressing()
    for eighth in range(8):
        assert not compressing.shrunk(noise(eighth))
        before, after = noise(eighth)[: eighth * MIB // 8], noise(eighth)[(eighth + 1) * MIB // 8 :]
        assert compressing.shrunk(before + TEXT[: MIB // 8] + after)


def test_what_no_sample_shows_is_missed_seven_times_at_most() -> None:
    """Noise that comes again within a blob: there is nothing to see in a few KiB of it."""
    compressing = Compressing()
    repeating = noise(0)[: MIB // 8] * 8
    assert compressing.shrunk(repeating), "what comes first is tried"
    assert not compressing.shrunk(noise(1))

    missed = 0
    while not compressing.shrunk(repeating):
        missed += 1
    assert missed == 7
    assert compressing.shrunk(repeating), "from then on everything is tried"


@pytest.mark.parametrize(("version", "compression"), [(1, Compression.AUTO), (2, Compression.OFF)])
def test_nothing_is_compressed_where_it_may_not_be(version: int, compression: Compression) -> None:
    assert not Compressing(version, compression).shrunk(TEXT)

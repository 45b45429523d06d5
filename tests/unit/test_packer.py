"""What is left in both open packs at a flush is stored as one, where it fits, and nothing is lost by that."""

from pathlib import Path
from random import Random

import pytest

from holdfast.buffers import BUFFERS
from holdfast.format.index import BlobType
from holdfast.format.pack import Compression
from holdfast.ids import BlobId, sha256
from holdfast.repository.index.files import IndexLoader, write_index
from holdfast.repository.packs.loader import BlobLoader
from holdfast.repository.packs.packer import Packer
from tests.support.engine import new_session

PACK_BYTES = 100_000


@pytest.mark.parametrize(
    ("count", "size", "most"), [(2, 1000, 1), (40, 1000, 1), (40, 5000, 3), (9, 40_000, 5)]
)
def test_small_rests_become_one_pack(tmp_path: Path, count: int, size: int, most: int) -> None:
    blobs = [Random(number).randbytes(size) for number in range(count)]
    with new_session(tmp_path / "repository") as session:
        repository = session.repository
        with Packer(
            repository, BlobType.DATA, compression=Compression.AUTO, pack_size_bytes=PACK_BYTES
        ) as packer:
            for blob in blobs:
                packer.add(BlobId(sha256(blob)), blob)
            packer.flush()
            assert packer.frontier() == packer.next_sequence == count
            packs = packer.take_stored()
        least = count * size // (PACK_BYTES + size) + 1
        assert least <= len(packs) <= most
        write_index(repository, [pack.columns for pack in packs])
        loader = BlobLoader(repository, IndexLoader.loaded(repository).index)
        for blob in blobs:
            assert loader.load(BlobId(sha256(blob)), BlobType.DATA) == blob


def test_a_pack_that_was_joined_is_as_old_as_its_oldest_blob(tmp_path: Path) -> None:
    """The frontier must not pass a blob that waits in memory."""
    with (
        new_session(tmp_path / "repository") as session,
        Packer(session.repository, BlobType.DATA, compression=Compression.AUTO) as packer,
    ):
        for round_ in range(20):
            for number in range(8):
                blob = b"%d %d" % (round_, number)
                packer.add(BlobId(sha256(blob)), blob)
            assert packer.frontier() == 8 * round_
            packer.begin_flush()
            packer.flush()
            assert packer.frontier() == 8 * (round_ + 1)


def test_the_buffers_of_packs_are_used_again_once_all_is_stored(tmp_path: Path) -> None:
    BUFFERS.let_go()
    with new_session(tmp_path / "repository") as session:
        with Packer(session.repository, BlobType.DATA, compression=Compression.AUTO) as packer:
            packer.add(BlobId(sha256(b"blob")), b"blob")
            packer.flush()
        assert BUFFERS.idle_bytes > 0
        kept = BUFFERS.idle_bytes
        with Packer(session.repository, BlobType.DATA, compression=Compression.AUTO) as packer:
            packer.add(BlobId(sha256(b"other")), b"other")
            assert BUFFERS.idle_bytes < kept
            packer.flush()
        assert BUFFERS.idle_bytes == kept

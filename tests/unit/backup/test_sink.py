"""Saving chunks: all blobs, in order and each once."""

import random
from pathlib import Path

from holdfast.backup.store.sink import BlobSink
from holdfast.chunker import Chunker
from holdfast.format.index import BlobType
from holdfast.format.pack import Compression
from holdfast.ids import BlobId, sha256
from holdfast.repository.index.map import IndexMap
from holdfast.repository.packs.packer import Packer
from tests.support.engine import new_session

MIB = 1 << 20
SEED = 1
DATA = b"".join(
    piece
    for number in range(4)
    for piece in (random.Random(number).randbytes(2 * MIB), b"text %d " % number * 200_000)
)


def test_the_content_is_in_order_and_each_blob_is_stored_once(tmp_path: Path) -> None:
    twice = DATA * 2
    content: list[BlobId] = []
    with (
        new_session(tmp_path) as session,
        Packer(session.repository, BlobType.DATA, compression=Compression.AUTO) as packer,
    ):
        sink = BlobSink(IndexMap(), packer, Chunker(SEED))
        used = sink.save_chunks(memoryview(twice), content, final=True)
        numbered = packer.next_sequence
        packer.flush()
        stored = [blob.id for pack in packer.take_stored() for blob in pack.blobs]

    at = 0
    for length, blob in zip(Chunker(SEED).cuts(memoryview(twice), final=True), content, strict=True):
        assert blob == sha256(twice[at : at + length])
        at += length
    assert used == at == len(twice)
    assert len(set(content)) < len(content), "the data repeats itself"
    assert sorted(stored) == sorted(set(content))
    assert numbered == len(stored), "all that the content needs had its number when `save_chunks` returned"

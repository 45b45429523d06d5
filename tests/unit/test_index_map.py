"""What the index tells of a blob is the same whichever way it is asked."""

from holdfast.crypto.sealing import OVERHEAD_BYTES
from holdfast.format.index import BlobType, PackColumns
from holdfast.ids import BlobId, IndexId, PackId, sha256
from holdfast.repository.damage import DamagedPack
from holdfast.repository.index.map import IndexMap

COMPRESSED, RAW, TREE = (BlobId(sha256(name)) for name in (b"compressed", b"raw", b"tree"))
PACK = PackColumns(
    id=PackId(sha256(b"pack")),
    ids=COMPRESSED + RAW + TREE,
    types=[BlobType.DATA, BlobType.DATA, BlobType.TREE],
    offsets=[0, 100, 200],
    lengths=[100, 100, 100],
    uncompressed_lengths=[1000, 0, 1000],
)


def test_a_data_blob_is_as_long_as_the_entry_that_is_looked_up_says() -> None:
    index = IndexMap()
    index.load(IndexId(sha256(b"index")), [PACK])
    assert index.data_bytes(COMPRESSED) == 1000 == _looked_up(index, COMPRESSED)
    assert index.data_bytes(RAW) == 100 - OVERHEAD_BYTES == _looked_up(index, RAW)


def test_what_is_no_data_blob_has_no_length() -> None:
    index = IndexMap()
    index.load(IndexId(sha256(b"index")), [PACK])
    assert index.data_bytes(TREE) is None
    assert index.data_bytes(BlobId(sha256(b"unknown"))) is None


def test_a_damaged_blob_has_a_length_because_reading_it_may_succeed() -> None:
    index = IndexMap({PACK.id: DamagedPack(pack=PACK.id, whole=True)})
    index.load(IndexId(sha256(b"index")), [PACK])
    assert not index.has(COMPRESSED, BlobType.DATA)
    assert index.data_bytes(COMPRESSED) == 1000 == _looked_up(index, COMPRESSED)


def _looked_up(index: IndexMap, blob: BlobId) -> int | None:
    location = index.lookup(blob, BlobType.DATA)
    return None if location is None else location.entry.plaintext_bytes

"""Which blobs are used is marked in the index: one copy of each, a sound one where there is one."""

from holdfast.format.index import BlobEntry, BlobType, IndexPack
from holdfast.ids import BlobId, IndexId, PackId, sha256
from holdfast.repository.damage import DamagedPack
from holdfast.repository.index.map import IndexMap
from holdfast.repository.index.marks import BlobMarks

SIZE = 100


def blob(name: str) -> BlobId:
    return BlobId(sha256(name.encode()))


def pack(name: str, *blobs: str, kind: BlobType = BlobType.DATA) -> IndexPack:
    entries = [
        BlobEntry(id=blob(one), type=kind, offset=number * SIZE, length=SIZE, uncompressed_length=0)
        for number, one in enumerate(blobs)
    ]
    return IndexPack(id=PackId(sha256(b"pack " + name.encode())), blobs=tuple(entries))


def index_of(*packs: IndexPack, damage: DamagedPack | None = None) -> IndexMap:
    index = IndexMap({} if damage is None else {damage.pack: damage})
    for number, one in enumerate(packs):
        index.load(IndexId(sha256(b"index %d" % number)), [one.columns])
    return index


def test_what_is_marked_is_new_once_and_what_is_nowhere_is_missing() -> None:
    marks = BlobMarks(index_of(pack("p", "a", "b")))
    assert marks.mark([blob("a"), blob("x")], BlobType.DATA) == ([blob("a")], [blob("x")])
    assert marks.mark([blob("a"), blob("b")], BlobType.DATA) == ([blob("b")], [])
    assert set(marks.marked(BlobType.DATA)) == {blob("a"), blob("b")}


def test_types_are_told_apart() -> None:
    marks = BlobMarks(index_of(pack("p", "a"), pack("t", "a", kind=BlobType.TREE)))
    marks.mark([blob("a")], BlobType.TREE)
    assert list(marks.marked(BlobType.TREE)) == [blob("a")]
    assert list(marks.marked(BlobType.DATA)) == []


def test_one_copy_of_each_blob_is_used() -> None:
    first, second = pack("first", "a", "b"), pack("second", "a")
    marks = BlobMarks(index_of(first, second))
    marks.mark([blob("a"), blob("b")], BlobType.DATA)
    uses = {use.id: use for use in marks.uses()}
    assert uses[first.id].used + uses[second.id].used == 2
    assert uses[first.id].used_bytes + uses[second.id].used_bytes == 2 * SIZE
    assert (uses[first.id].blobs, uses[first.id].size_bytes) == (2, first.size_bytes)


def test_copies_in_packs_that_go_do_not_count_until_they_are_taken_back() -> None:
    going, staying = pack("going", "a", "b"), pack("staying", "a")
    marks = BlobMarks(index_of(going, staying), [going.id])
    assert marks.mark([blob("a"), blob("b")], BlobType.DATA) == ([blob("a")], [blob("b")])
    marks.let_count([going.id])
    assert marks.mark([blob("a"), blob("b")], BlobType.DATA) == ([blob("b")], [])


def test_a_damaged_copy_is_used_where_there_is_no_other_and_none_is_wanted_sound() -> None:
    bad, good = pack("bad", "a", "b"), pack("good", "a")
    damage = DamagedPack(
        pack=bad.id, blobs=frozenset({(blob("a"), BlobType.DATA), (blob("b"), BlobType.DATA)})
    )
    marks = BlobMarks(index_of(bad, good, damage=damage))
    marks.mark([blob("a"), blob("b")], BlobType.DATA)
    assert {use.id: use.used for use in marks.uses()} == {bad.id: 1, good.id: 1}
    assert BlobMarks(index_of(bad, damage=damage), sound=True).mark([blob("a")], BlobType.DATA)[1] == [
        blob("a")
    ]


def test_packs_that_the_map_comes_to_know_count_after_a_look() -> None:
    index = index_of(pack("p", "a"))
    marks = BlobMarks(index)
    index.load(IndexId(sha256(b"later")), [pack("later", "b").columns])
    marks.refresh()
    assert marks.mark([blob("b")], BlobType.DATA)[1] == []

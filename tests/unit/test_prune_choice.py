"""Which packs go, which are copied from, which stay."""

import hashlib

import pytest

from holdfast.errors import UsageError
from holdfast.format.index import BlobType
from holdfast.ids import PackId
from holdfast.prune.decide import decide, parse_max_repack, parse_max_unused
from holdfast.prune.documents import PruneOrder
from holdfast.repository.index.marks import PackUse

MIB = 1 << 20
PACK_BYTES = 16 * MIB


def pack(
    name: str, used: int, blobs: int = 10, *, kind: BlobType | None = BlobType.DATA, size: int = 16 * MIB
) -> PackUse:
    """A pack of equal blobs, so many of which are used."""
    return PackUse(
        id=PackId(hashlib.sha256(name.encode()).digest()),
        kind=kind,
        blobs=blobs,
        used=used,
        size_bytes=size,
        used_bytes=size * used // blobs,
        plain=False,
    )


def chosen(*packs: PackUse, **order: object) -> tuple[set[bytes], set[bytes], set[bytes]]:
    """The ids to drop, to move, to keep."""
    found = decide(packs, PruneOrder(**order), pack_size_bytes=PACK_BYTES)  # type: ignore[arg-type]  # test data
    return {one.id for one in found.drop}, {one.id for one in found.move}, {one.id for one in found.keep}


def ids(*packs: PackUse) -> set[bytes]:
    return {one.id for one in packs}


def test_a_pack_of_which_nothing_is_used_goes_and_a_used_one_stays() -> None:
    empty, full = pack("empty", 0), pack("full", 10)
    assert chosen(empty, full) == (ids(empty), set(), ids(full))


def test_the_worst_packs_are_moved_until_what_stays_unused_is_little_enough() -> None:
    worst, bad, good = pack("worst", 1), pack("bad", 5), pack("good", 9)
    full = [pack(f"full-{number}", 10) for number in range(8)]
    assert chosen(worst, bad, good, *full) == (set(), ids(worst, bad), ids(good, *full))
    assert chosen(worst, bad, good, *full, max_unused="0")[1] == ids(worst, bad, good)
    assert chosen(worst, bad, good, *full, max_unused="unlimited")[1] == set()


def test_no_more_is_moved_than_was_allowed() -> None:
    worst, bad = pack("worst", 1), pack("bad", 5)
    assert chosen(worst, bad, max_unused="0", max_repack="20MiB")[1] == ids(worst)
    assert chosen(worst, bad, max_unused="0", max_repack="1MiB")[1] == set()


def test_trees_and_mixed_packs_are_moved_however_little_is_unused() -> None:
    trees, mixed = pack("trees", 9, kind=BlobType.TREE), pack("mixed", 10, kind=None)
    full = [pack(f"full-{number}", 10) for number in range(20)]
    assert chosen(trees, mixed, *full)[1] == ids(trees, mixed)


def test_ten_small_packs_of_a_type_are_joined_and_nine_are_not() -> None:
    small = [pack(f"small-{number}", 10, size=MIB) for number in range(10)]
    trees = [pack(f"tree-{number}", 10, size=MIB, kind=BlobType.TREE) for number in range(9)]
    assert chosen(*small, *trees) == (set(), ids(*small), ids(*trees))
    assert chosen(*small, *trees, repack_small=False)[1] == set()


def test_a_full_disk_has_nothing_moved() -> None:
    empty, bad = pack("empty", 0), pack("bad", 1)
    small = [pack(f"small-{number}", 10, size=MIB) for number in range(10)]
    assert chosen(empty, bad, *small, full_disk=True) == (ids(empty), set(), ids(bad, *small))


def test_what_stays_unused_is_said() -> None:
    found = decide(
        [pack("bad", 5), pack("full", 10)], PruneOrder(max_unused="unlimited"), pack_size_bytes=PACK_BYTES
    )
    assert found.left_unused_bytes == 8 * MIB


def test_limits_are_read_as_restic_reads_them() -> None:
    assert parse_max_unused("5%", 95 * MIB) == 5 * MIB
    assert parse_max_unused("0", MIB) == 0
    assert parse_max_repack("2GiB") == 2 << 30
    for text in ("", "five", "100%", "-1", "5 %"):
        with pytest.raises(UsageError):
            parse_max_unused(text, MIB)

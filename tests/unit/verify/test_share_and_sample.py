"""How much is read or tried: what a person may write, and what is chosen for it."""

import hashlib
from dataclasses import replace

import pytest

from holdfast.drill.form import parse_sample
from holdfast.errors import UsageError
from holdfast.ids import PackId
from holdfast.repository.index.map import PackInfo
from holdfast.sizes import VerifySizes
from holdfast.verify.plan import cut, work_of
from holdfast.verify.share import choose, parse_share

MIB = 1 << 20
DAY_NS = 86_400 * 10**9
SIZES = VerifySizes()
PACKS = [PackInfo(PackId(hashlib.sha256(bytes([n])).digest()), 16 * MIB, 1) for n in range(100)]


def chosen(share: str, *, seed: bytes = b"run", now_ns: int = 0) -> set[bytes]:
    return {pack.id for pack in choose(PACKS, parse_share(share), seed=seed, now_ns=now_ns)}


def test_everything_nothing_and_a_random_share() -> None:
    assert len(chosen("all")) == len(chosen("100%")) == 100
    assert chosen("none") == set()
    assert len(chosen("5%")) == 5
    assert len(chosen("0.1%")) == 1
    assert chosen("5%") == chosen("5%")
    assert chosen("5%", seed=b"another") != chosen("5%")


def test_a_size_takes_as_many_packs_as_make_it_up() -> None:
    assert len(chosen("33MiB")) == 3
    assert len(chosen("1TiB")) == 100


def test_the_parts_cover_everything_once_and_the_days_go_through_them() -> None:
    parts = [chosen(f"{part}/7") for part in range(1, 8)]
    assert sum(len(part) for part in parts) == 100
    assert set().union(*parts) == chosen("all")
    days = [chosen("day/7", now_ns=day * DAY_NS) for day in range(7)]
    assert sorted(map(sorted, days)) == sorted(map(sorted, parts))


@pytest.mark.parametrize(
    "text", ["", "0%", "101%", "-5%", "0/7", "8/7", "1/0", "1/300", "day", "some", "0GiB"]
)
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_share(text)


@pytest.mark.parametrize("text", ["", "0%", "101%", "none", "0", "nan%", "1/7"])
def test_what_is_no_sample_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_sample(text)


def test_shards_get_smaller_as_less_is_left_but_not_small() -> None:
    sizes = [len(shard) for shard in cut(PACKS, 4, SIZES)]
    assert sum(sizes) == len(PACKS)
    assert sizes[0] == len(PACKS) // 4
    assert sizes[:-1] == sorted(sizes[:-1], reverse=True)
    small = list(cut(PACKS[:20], 100, SIZES))
    assert all(sum(work_of(pack) for pack in shard) >= SIZES.shard_work for shard in small[:-1])


def test_costly_packs_come_first_and_are_counted_by_what_they_expand_to() -> None:
    logs = [replace(pack, expanded_bytes=112 * MIB) for pack in PACKS[50:60]]
    shards = list(cut(PACKS[:50] + logs, 4, SIZES))
    assert {pack.id for shard in shards for pack in shard} == {pack.id for pack in PACKS[:60]}
    one_by_one = [work_of(pack) for shard in shards for pack in shard]
    assert one_by_one == sorted(one_by_one, reverse=True)
    assert max(sum(work_of(pack) for pack in shard) for shard in shards) <= sum(one_by_one) / 3


def test_no_packs_make_no_shard() -> None:
    assert list(cut([], 4, SIZES)) == []

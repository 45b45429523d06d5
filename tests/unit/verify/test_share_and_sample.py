"""How much is read or tried: what a person may write, and what is chosen for it."""

import hashlib

import pytest

from holdfast.errors import UsageError
from holdfast.ids import PackId
from holdfast.repository.index_map import PackInfo
from holdfast.settings.drills import parse_sample
from holdfast.verify.plan import MIN_SHARD_BYTES, cut
from holdfast.verify.share import choose, parse_share

MIB = 1 << 20
DAY_NS = 86_400 * 10**9
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


def test_shards_are_as_many_as_wanted_but_not_small() -> None:
    assert [len(shard) for shard in cut(PACKS, 4)] == [25, 25, 25, 25]
    small = list(cut(PACKS[:4], 100))
    assert all(sum(pack.size_bytes for pack in shard) >= MIN_SHARD_BYTES for shard in small)
    assert list(cut([], 4)) == []

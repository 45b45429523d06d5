"""The roll of snapshots: one sealed file of the cache in place of thousands, which stands for nothing but itself."""

from pathlib import Path

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.format.sealed import encode_file
from holdfast.format.snapshot import Snapshot, encode_snapshot
from holdfast.ids import SnapshotId, to_hex
from holdfast.repository.caching import join_cache, past_cache
from holdfast.repository.layout import SNAPSHOTS, file_name
from holdfast.repository.repository import Repository
from holdfast.repository.snapshots import list_snapshots
from holdfast.storage.cache import Cache
from tests.support.counting import CountingStorage
from tests.support.engine import PASSWORD

COUNT = 40


class Listing:
    """A repository with snapshots, as a new process would list it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = CountingStorage(folder / "repository")
        Repository.init(self.storage, PASSWORD, kdf=ScryptParameters.for_tests())
        self.repository = self.opened()
        self.ids = [self.add(number) for number in range(COUNT)]

    @property
    def cache(self) -> Cache:
        return Cache(self.folder / "cache", 64 << 20)

    @property
    def roll(self) -> Path:
        name = self.repository.id
        return self.folder / "cache" / name / "rolls" / name

    def opened(self) -> Repository:
        repository = Repository.open(self.storage, PASSWORD)
        join_cache(repository, self.cache)
        return repository

    def add(self, number: int) -> SnapshotId:
        snapshot = Snapshot(
            time=f"2026-11-01T00:{number % 60:02d}:00Z", tree=f"{number:064x}", paths=["/data"]
        )
        return SnapshotId(self.repository.save_file(SNAPSHOTS, encode_snapshot(snapshot)))

    def seen(self, repository: Repository | None = None) -> tuple[list[SnapshotId], int, list[SnapshotId]]:
        """The snapshots, how many of their files were read for that, and those that cannot be."""
        before, unreadable = self.storage.calls["get", SNAPSHOTS], list[SnapshotId]()
        found = list_snapshots(
            repository or self.opened(), on_unreadable=lambda snapshot_id, _: unreadable.append(snapshot_id)
        )
        return [stored.id for stored in found], self.storage.calls["get", SNAPSHOTS] - before, unreadable


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    return Listing(tmp_path)


def test_what_was_read_once_is_not_read_again_and_the_store_says_what_is_there(listing: Listing) -> None:
    assert listing.seen() == (listing.ids, COUNT, [])
    assert listing.seen() == (listing.ids, 0, [])
    new = listing.add(COUNT)
    listing.storage.delete(file_name(SNAPSHOTS, listing.ids[0]))
    assert listing.seen() == ([*listing.ids[1:], new], 1, [])
    assert listing.seen() == ([*listing.ids[1:], new], 1, []), "for a few it is not written again"


def test_it_is_written_again_when_many_are_not_in_it(listing: Listing) -> None:
    listing.seen()
    more = [listing.add(number) for number in range(COUNT, COUNT + 17)]
    assert listing.seen() == ([*listing.ids, *more], 17, [])
    assert listing.seen() == ([*listing.ids, *more], 0, [])


@pytest.mark.parametrize("wrong", ["cut off", "another's", "of another kind", "gone"])
def test_a_roll_that_is_wrong_is_none(listing: Listing, tmp_path: Path, wrong: str) -> None:
    listing.seen()
    entry = f"{listing.repository.id}/rolls/{listing.repository.id}"
    match wrong:
        case "cut off":
            listing.roll.write_bytes(listing.roll.read_bytes()[:-20])
        case "another's":
            other = Listing(tmp_path / "other")
            other.seen()
            sealed = other.cache.read(f"{other.repository.id}/rolls/{other.repository.id}")
            assert sealed is not None
            listing.cache.keep(entry, [memoryview(sealed)])
        case "of another kind":
            sealed = encode_file(listing.repository.sealer(), b'{"type": "holdfast-index"}', version=2)
            listing.cache.keep(entry, [memoryview(sealed)])
        case _:
            listing.roll.unlink()
    assert listing.seen() == (listing.ids, COUNT, [])
    assert listing.seen() == (listing.ids, 0, []), "a good one is there again"


def test_a_file_of_another_size_is_looked_at_and_what_proves_something_looks_at_all(listing: Listing) -> None:
    listing.seen()
    first, second = (listing.folder / "repository" / file_name(SNAPSHOTS, one) for one in listing.ids[:2])
    for damaged in (first, second):
        damaged.chmod(0o600)
    first.write_bytes(first.read_bytes()[:-1])
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 1
    second.write_bytes(content)
    assert listing.seen() == (listing.ids[1:], 1, [listing.ids[0]])
    found, read, unreadable = listing.seen(past_cache(listing.opened()))
    assert (found, read, sorted(map(to_hex, unreadable))) == (
        listing.ids[2:],
        COUNT,
        sorted(map(to_hex, listing.ids[:2])),
    )

"""The layer with the cache: what the store says counts, and what it has need not be fetched again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import CorruptFileError, LockLostError, StoredFileMissingError
from holdfast.ids import PackId, sha256, to_hex
from holdfast.repository.caching import join_cache
from holdfast.repository.companion import own_directories
from holdfast.repository.layout import INDEX, SNAPSHOTS, pack_name
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import list_snapshots
from holdfast.storage.cache import Cache
from holdfast.storage.contract import Storage, Traits
from holdfast.storage.layers.cached import Cached
from holdfast.storage.layers.layer import Layer
from holdfast.storage.layers.read_only import ReadOnly
from tests.storage.conformance import StorageConformance
from tests.support.comparison import same
from tests.support.counting import CountingStorage
from tests.support.engine import PASSWORD
from tests.support.memory_storage import MemoryStorage
from tests.support.persistent import back_up, restored
from tests.support.verification import verify

MIB = 1 << 20
REPOSITORY = 64 * "a"
INDEX_FILE = Random(1).randbytes(5000)
INDEX_NAME = f"index/{to_hex(sha256(INDEX_FILE))}"
PACK = Random(2).randbytes(300_000)
PACK_NAME = pack_name(PackId(sha256(PACK)))
LIMIT = MIB


def cached(below: Storage, folder: Path, *, packs: bool = True) -> Cached:
    listed = frozenset({"index", "snapshots"})
    return Cached(below, Cache(folder, 256 * MIB), REPOSITORY, listed=listed, packs_in="data", packs=packs)


class TestCached(StorageConformance):
    def make(self, tmp_path: Path) -> Storage:
        return cached(MemoryStorage(), tmp_path / "cache")


@pytest.fixture
def store(tmp_path: Path) -> CountingStorage:
    counting = CountingStorage(tmp_path / "store")
    counting.put(INDEX_NAME, INDEX_FILE)
    counting.put(PACK_NAME, PACK)
    return counting


@pytest.fixture
def near(store: CountingStorage, tmp_path: Path) -> Cached:
    return cached(store, tmp_path / "cache")


def fetched(store: CountingStorage) -> int:
    """How many files, or parts of them, were asked for since the last call."""
    count = sum(times for (call, _), times in store.calls.items() if call == "get")
    store.calls.clear()
    return count


def test_a_listed_file_is_fetched_once(near: Cached, store: CountingStorage) -> None:
    for times in (1, 0, 0):
        assert [file.name for file in near.list("index")] == [INDEX_NAME]
        assert near.get(INDEX_NAME, limit_bytes=LIMIT) == INDEX_FILE
        assert fetched(store) == times
    assert near.get(INDEX_NAME, limit_bytes=LIMIT) == INDEX_FILE
    assert fetched(store) == 1, "a second look is one into the store"


def test_what_was_deleted_elsewhere_is_gone(near: Cached, store: CountingStorage) -> None:
    assert [*near.list("index")]
    near.get(INDEX_NAME, limit_bytes=LIMIT)
    store.delete(INDEX_NAME)
    with pytest.raises(StoredFileMissingError):
        near.get(INDEX_NAME, limit_bytes=LIMIT)
    assert [*near.list("index")] == []
    with pytest.raises(StoredFileMissingError):
        near.get(INDEX_NAME, limit_bytes=LIMIT)


def test_what_the_store_has_in_another_size_is_read_there(near: Cached, store: CountingStorage) -> None:
    assert [*near.list("index")]
    near.get(INDEX_NAME, limit_bytes=LIMIT)
    store.put(INDEX_NAME, b"cut off")
    assert [*near.list("index")]
    assert near.get(INDEX_NAME, limit_bytes=LIMIT) == b"cut off"


def test_a_limit_counts_for_what_is_near_as_well(near: Cached) -> None:
    for _ in range(2):
        assert [*near.list("index")]
        near.get(INDEX_NAME, limit_bytes=LIMIT)
    assert [*near.list("index")]
    with pytest.raises(CorruptFileError):
        near.get(INDEX_NAME, limit_bytes=100)


def test_a_pack_is_fetched_whole_and_once(near: Cached, store: CountingStorage, tmp_path: Path) -> None:
    assert near.get_range(PACK_NAME, 1000, 5000) == PACK[1000:6000]
    assert near.get_range(PACK_NAME, 250_000, 50_000) == PACK[250_000:]
    assert cached(store, tmp_path / "cache").get_range(PACK_NAME, 0, 10) == PACK[:10], "of another process"
    assert fetched(store) == 1
    with pytest.raises(CorruptFileError):
        near.get_range(PACK_NAME, 299_999, 2)


def test_packs_of_data_are_never_kept(store: CountingStorage, tmp_path: Path) -> None:
    passing = cached(store, tmp_path / "cache", packs=False)
    other = Random(3).randbytes(1000)
    passing.put(pack_name(PackId(sha256(other))), other)
    assert passing.get_range(PACK_NAME, 0, 10) == PACK[:10]
    assert passing.get(PACK_NAME, limit_bytes=LIMIT) == PACK
    assert not (tmp_path / "cache").exists()


def test_what_was_written_is_near(near: Cached, store: CountingStorage, tmp_path: Path) -> None:
    pack, snapshot = Random(4).randbytes(200_000), Random(5).randbytes(300)
    name = f"snapshots/{to_hex(sha256(snapshot))}"
    near.put(pack_name(PackId(sha256(pack))), [pack[:70_000], pack[70_000:]])
    near.put(name, snapshot)
    assert [*near.list("snapshots")]
    assert near.get(name, limit_bytes=LIMIT) == snapshot
    assert near.get_range(pack_name(PackId(sha256(pack))), 60_000, 20_000) == pack[60_000:80_000]
    assert fetched(store) == 0


@pytest.mark.parametrize("how", ["delete", "delete_many", "delete_folder"])
def test_what_is_deleted_is_dropped(near: Cached, tmp_path: Path, how: str) -> None:
    assert [*near.list("index")]
    near.get(INDEX_NAME, limit_bytes=LIMIT)
    near.get_range(PACK_NAME, 0, 10)
    kept = [path for path in (tmp_path / "cache").rglob("*") if len(path.name) == 64 and path.is_file()]
    assert len(kept) == 2
    if how == "delete":
        near.delete(INDEX_NAME)
        near.delete(PACK_NAME)
    elif how == "delete_many":
        near.delete_many(iter([INDEX_NAME, PACK_NAME]))
    else:
        near.delete_folder("index")
        near.delete_folder(PACK_NAME.rpartition("/")[0])
    assert not any(path.exists() for path in kept)
    with pytest.raises(StoredFileMissingError):
        near.get_range(PACK_NAME, 0, 10)


def test_names_to_delete_are_taken_one_after_the_other(tmp_path: Path) -> None:
    """So that what gives them can look at its lock before each."""
    below = MemoryStorage()
    near = cached(below, tmp_path / "cache")
    near.put(INDEX_NAME, INDEX_FILE)
    near.put(PACK_NAME, PACK)
    assert [*near.list("index")]

    def names() -> Iterator[str]:
        yield INDEX_NAME
        raise LockLostError("the lock is lost")

    with pytest.raises(LockLostError):
        near.delete_many(names())
    assert [below.size_or_none(name) for name in (INDEX_NAME, PACK_NAME)] == [None, len(PACK)]
    with pytest.raises(StoredFileMissingError):
        near.get(INDEX_NAME, limit_bytes=LIMIT)


def test_names_that_are_no_hashes_and_other_folders_pass(
    near: Cached, store: CountingStorage, tmp_path: Path
) -> None:
    lock = f"locks/{to_hex(sha256(b'lock'))}"
    for name, data in (("config", b"config"), ("index/first", b"1"), (lock, b"lock"), ("holdfast/x", b"2")):
        near.put(name, data)
        store.put(name, data + b" changed")
        assert name == "config" or [*near.list(name.partition("/")[0])]
        assert near.get(name, limit_bytes=LIMIT) == data + b" changed"
    assert not (tmp_path / "cache").exists()


def test_what_is_not_what_its_name_says_is_not_kept(
    near: Cached, store: CountingStorage, tmp_path: Path
) -> None:
    store.put(PACK_NAME, PACK[:-1] + b"?")
    store.put(INDEX_NAME, INDEX_FILE[:-1] + b"?")
    assert near.get_range(PACK_NAME, 0, 10) == PACK[:10]
    assert near.get_range(PACK_NAME, 10, 10) == PACK[10:20]
    assert store.names["get", PACK_NAME] == 2
    assert [*near.list("index")]
    near.get(INDEX_NAME, limit_bytes=LIMIT)
    near.put(INDEX_NAME, b"neither")
    assert not (tmp_path / "cache").exists()


def test_a_large_pack_is_read_by_parts(near: Cached, store: CountingStorage, tmp_path: Path) -> None:
    large = bytes(33 * MIB)
    name = pack_name(PackId(sha256(large)))
    store.put(name, large)
    for _ in range(3):
        assert near.get_range(name, 10 * MIB, 10) == bytes(10)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("kind", ["index", "data"])
def test_a_damaged_copy_is_fetched_again(
    near: Cached, store: CountingStorage, tmp_path: Path, kind: str
) -> None:
    def read() -> bytes:
        if kind == "data":
            return near.get_range(PACK_NAME, 0, len(PACK))
        assert [*near.list("index")]
        return near.get(INDEX_NAME, limit_bytes=LIMIT)

    right = read()
    (path,) = [file for file in (tmp_path / "cache").rglob("*") if len(file.name) == 64 and file.is_file()]
    for at in (0, len(right) - 1, len(right)):
        damaged = bytearray(path.read_bytes())
        damaged[at] ^= 0x40
        path.write_bytes(damaged)
        fetched(store)
        assert read() == right
        assert fetched(store) == 1
        assert read() == right
        assert fetched(store) == 0


# ------------------------------------------------------------------------------------------------ with the engine


class Far(Layer):
    """A storage at a distance."""

    @property
    def traits(self) -> Traits:
        return replace(self.below.traits, latency_s=0.001, directory=None)


class Place:
    """A store, a cache, and sessions over both, each as of another process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = Cache(folder / "cache", 256 * MIB)
        self.store = CountingStorage(folder / "store")
        Repository.init(self.store, PASSWORD, kdf=ScryptParameters.for_tests())
        self.source = folder / "source"
        random = Random(7)
        for number in range(40):
            directory = self.source / f"directory-{number}"
            directory.mkdir(parents=True)
            for file in range(5):
                (directory / f"file-{file}").write_bytes(random.randbytes(2000))

    @contextmanager
    def session(self, *, with_cache: bool = True) -> Iterator[RepositorySession]:
        repository = Repository.open(Far(self.store), PASSWORD)
        join_cache(repository, self.cache if with_cache else None)
        session = RepositorySession(repository)
        self.store.calls.clear()
        self.store.names.clear()
        try:
            yield session
        finally:
            session.close()

    def fetched(self, kind: str) -> int:
        return self.store.calls["get", kind]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_an_unchanged_backup_fetches_neither_index_nor_trees(place: Place) -> None:
    with place.session() as session:
        back_up(session, place.source, "first")
    with place.session() as session:
        back_up(session, place.source, "second")
        assert (place.fetched("index"), place.fetched("data")) == (0, 0)
    place.cache.forget(session.repository.id)
    with place.session() as session:
        back_up(session, place.source, "third")
        asked = {name: times for (call, name), times in place.store.names.items() if call == "get"}
        fetched = [times for name, times in asked.items() if name.startswith(("index/", "data/"))]
        assert fetched
        assert set(fetched) == {1}, "each once, and whole"
    with place.session(with_cache=False) as session:
        back_up(session, place.source, "fourth")
        assert place.fetched("index") >= 1
        assert place.fetched("data") >= 1


def test_a_restore_fetches_data_alone(place: Place, tmp_path: Path) -> None:
    with place.session() as session:
        back_up(session, place.source)
    with place.session() as session:
        restored(session, place.source, tmp_path / "target")
        assert place.fetched("index") == 0
        names = {name for (call, name) in place.store.names if call == "get" and name.startswith("data/")}
    assert same(place.source, tmp_path / "target")
    assert names
    assert not any(
        (place.cache.directory / session.repository.id / "data" / name[-64:]).exists() for name in names
    )


def test_damage_in_the_store_is_found_though_copies_are_near(place: Place) -> None:
    with place.session() as session:
        back_up(session, place.source)
        assert len(list_snapshots(session.repository)) == 1
        assert verify(session, "sound").problem_count == 0
        tree_packs = [
            path.name for path in (place.cache.directory / session.repository.id / "data").iterdir()
        ]
    assert tree_packs
    for name in (
        pack_name(PackId(bytes.fromhex(tree_packs[0]))),
        next(place.store.list(INDEX)).name,
        next(place.store.list(SNAPSHOTS)).name,
    ):
        path = place.store.below.traits.directory
        assert path is not None
        file = path / name
        sound = file.read_bytes()
        file.chmod(0o600)
        file.write_bytes(bytes([sound[0] ^ 1]) + sound[1:])
        with place.session() as session:
            assert verify(session, f"damaged-{name[:5]}", share="none").problem_count > 0, name
        file.write_bytes(sound)


def test_a_repository_that_is_only_read_has_the_cache_too(place: Place) -> None:
    with place.session() as session:
        back_up(session, place.source)
    repository = Repository.open(ReadOnly(Far(place.store)), PASSWORD)
    join_cache(repository, place.cache)
    assert isinstance(repository.storage, ReadOnly)
    place.store.calls.clear()
    assert len(list_snapshots(repository)) == 1
    assert place.fetched("snapshots") == 0


def test_a_near_repository_has_none_and_no_backup_takes_the_cache_in(place: Place) -> None:
    repository = Repository.open(place.store, PASSWORD)
    join_cache(repository, place.cache)
    assert repository.storage is place.store
    with place.session() as session:
        back_up(session, place.source)
        status = place.cache.directory.stat()
        assert (status.st_dev, status.st_ino) in own_directories(session.repository)
    assert (status.st_dev, status.st_ino) in own_directories(repository)

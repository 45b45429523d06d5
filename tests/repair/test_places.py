"""Repairs at a place that takes no names but restic's, replaces nothing, and answers slowly: as a REST server."""

from pathlib import Path

import pytest

from holdfast.format.index import BlobType
from holdfast.ids import BlobId, PackId, from_hex
from holdfast.repair.documents import RepairOrder
from holdfast.repository.caching import join_cache
from holdfast.repository.damage import DamageMarks
from holdfast.repository.layout import pack_name
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import list_snapshots
from holdfast.storage.cache import Cache
from holdfast.terms import RepairKind
from tests.repair.conftest import in_memory, on_disk, quick_session
from tests.support.comparison import plant, restic
from tests.support.doubles import ResticOnlyStorage, SlowStorage
from tests.support.engine import PASSWORD, EngineRun, new_session
from tests.support.memory_storage import MemoryStorage
from tests.support.repair import repair
from tests.support.verification import verify


@pytest.fixture
def broken(tmp_path: Path) -> MemoryStorage:
    """Without an index, and with a damaged pack."""
    source, path = tmp_path / "source", tmp_path / "repository"
    source.mkdir()
    plant(source, files=6)
    with new_session(path) as session:
        EngineRun.of(session, source).run()
    for index in (path / "index").iterdir():
        index.unlink()
    pack = max((path / "data").glob("*/*"), key=lambda file: file.stat().st_size)
    pack.chmod(0o600)
    with pack.open("r+b") as file:
        file.seek(100)
        file.write(b"damage")
    return in_memory(path)


def test_all_three_work_with_a_companion_elsewhere(broken: MemoryStorage, tmp_path: Path) -> None:
    (largest,) = sorted(broken.list("data"), key=lambda stored: stored.size_bytes)[-1:]
    pack = PackId(from_hex(largest.name.rpartition("/")[2]))
    with quick_session(SlowStorage(ResticOnlyStorage(broken))) as session:
        session.repository.companion = session.repository.workspaces = MemoryStorage("companion")
        assert repair(session, RepairOrder(kind=RepairKind.INDEX)).packs_added > 1
        mended = repair(session, RepairOrder(kind=RepairKind.PACKS, packs=(pack.hex(),)))
        assert (mended.packs_removed, mended.blobs_lost) == (1, 1)
        assert marks(session) == 0
        assert (
            len(repair(session, RepairOrder(kind=RepairKind.SNAPSHOTS, forget=True)).snapshots_repaired) == 1
        )
    assert {stored.name.partition("/")[0] for stored in broken.list("holdfast")} == set()
    assert "no errors were found" in restic(
        on_disk(broken, tmp_path / "on-disk"), PASSWORD, "check", "--read-data"
    )


def marks(session: RepositorySession) -> int:
    """How many packs are marked as damaged."""
    return len(DamageMarks(session.repository).load())


def test_what_the_cache_has_hides_no_damage_of_the_store(tmp_path: Path) -> None:
    """An index file, a snapshot and a pack of trees that this host has read, and that the store has lost since."""
    source, path = tmp_path / "source", tmp_path / "repository"
    source.mkdir()
    plant(source, files=6)
    with new_session(path) as session:
        EngineRun.of(session, source).run()
    storage = in_memory(path)
    with quick_session(SlowStorage(storage)) as session:
        join_cache(session.repository, Cache(tmp_path / "cache", 64 << 20))
        assert verify(session).ok
        with session.hold() as held:
            (stored,) = list_snapshots(session.repository)
            root = BlobId(from_hex(stored.snapshot.tree))
            held.loader.load_tree(root)
            location = held.index.lookup(root, BlobType.TREE)
        assert location is not None
        for name in [file.name for file in storage.list("index")]:
            storage.put(name, bytes(storage.size(name)))
        assert repair(session, RepairOrder(kind=RepairKind.INDEX)).index_files_removed > 0
        name = pack_name(location.pack)
        storage.put(name, bytes(storage.size(name)))
        found = repair(session, RepairOrder(kind=RepairKind.SNAPSHOTS, dry_run=True))
        assert found.snapshots_left == [stored.id]
        storage.put(f"snapshots/{stored.id.hex()}", b"no snapshot")
        order = RepairOrder(kind=RepairKind.SNAPSHOTS, snapshots=(stored.id.hex(),), forget=True)
        assert repair(session, order).snapshots_removed == [stored.id]

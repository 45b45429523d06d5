"""Trees are read in blocks of their packs: neighbours cost one read, and a damaged pack costs only its own trees."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast.errors import CorruptFileError
from holdfast.format.index import BlobType
from holdfast.ids import BlobId, PackId, from_hex
from holdfast.repository.layout import pack_name
from holdfast.repository.packs.loader import BlobLoader
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import list_snapshots
from tests.support.counting import CountingStorage
from tests.support.engine import EngineRun, counted_session, new_session

_DIRECTORIES = 200


def test_neighbours_are_read_at_once(tmp_path: Path) -> None:
    with _stored(tmp_path) as (held, storage, root):
        storage.calls.clear()
        assert len(_trees(held.loader, root)) > _DIRECTORIES
        assert storage.calls["get", "data"] <= 2


def test_a_pack_that_is_cut_off_costs_only_what_it_lacks(tmp_path: Path) -> None:
    with _stored(tmp_path) as (held, _, root):
        ends: dict[PackId, int] = {}
        for tree in _trees(held.loader, root):
            location = held.index.lookup(tree, BlobType.TREE)
            assert location is not None
            end = location.entry.offset + location.entry.length
            ends[location.pack] = max(end, ends.get(location.pack, 0))
        for pack_id, end in ends.items():
            pack = tmp_path / "repository" / pack_name(pack_id)
            assert end < pack.stat().st_size
            pack.chmod(0o600)
            with pack.open("r+b") as file:
                file.truncate(end)  # its header is gone, its trees are whole
        assert len(_trees(BlobLoader(held.repository, held.index), root)) > _DIRECTORIES


def test_a_damaged_tree_is_told_and_its_neighbours_are_read(tmp_path: Path) -> None:
    with _stored(tmp_path) as (held, _, root):
        inner = next(node.subtree_id for node in held.loader.load_tree(root) if node.subtree_id is not None)
        location = held.index.lookup(inner, BlobType.TREE)
        assert location is not None
        pack = tmp_path / "repository" / pack_name(location.pack)
        whole = pack.read_bytes()
        pack.chmod(0o600)
        at = location.entry.offset + location.entry.length // 2
        pack.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        loader = BlobLoader(held.repository, held.index)
        assert loader.load_tree(root)
        with pytest.raises(CorruptFileError, match=pack_name(location.pack)):
            loader.load_tree(inner)
        pack.write_bytes(whole)
        assert loader.load_tree(inner), "what was damaged may have been mended since its block was read"


def _trees(loader: BlobLoader, tree: BlobId) -> list[BlobId]:
    """The tree and all below it, each of which is read."""
    subtrees = [node.subtree_id for node in loader.load_tree(tree)]
    return [tree, *(one for subtree in subtrees if subtree is not None for one in _trees(loader, subtree))]


@contextmanager
def _stored(folder: Path) -> Iterator[tuple[HeldRepository, CountingStorage, BlobId]]:
    """A repository, opened again, in which a tree of many small directories is stored; its root."""
    source, path = folder / "source", folder / "repository"
    for number in range(_DIRECTORIES):
        (source / f"{number:04d}").mkdir(parents=True)
        (source / f"{number:04d}" / f"file-{number}").write_bytes(b"%d" % number)
    with new_session(path) as session:
        EngineRun.of(session, source).run()
    with counted_session(path) as (session, storage):
        (stored,) = list_snapshots(session.repository)
        with session.hold() as held:
            yield held, storage, BlobId(from_hex(stored.snapshot.tree))

"""Trees that were read outlive the index under which they were read, as far as the next one still has them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast.errors import BlobMissingError
from holdfast.ids import BlobId, IndexId, from_hex
from holdfast.repository.index.files import INDEX_LIMIT_BYTES
from holdfast.repository.layout import INDEX, file_name, list_ids
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import list_snapshots
from tests.support.counting import CountingStorage
from tests.support.engine import EngineRun, counted_session, new_session


def test_trees_outlive_index_files_that_are_replaced(tmp_path: Path) -> None:
    with _tree_was_read(tmp_path) as (session, storage, tree):
        for index_id in _index_ids(session):
            json = session.repository.load_file(INDEX, index_id, limit_bytes=INDEX_LIMIT_BYTES)
            session.repository.save_file(INDEX, json)
            storage.delete(file_name(INDEX, index_id))
        storage.names.clear()
        with session.hold() as held:
            assert held.loader.load_tree(tree)
        read = [name for _, name in storage.names]
        assert any(name.startswith("index/") for name in read)
        assert not any(name.startswith("data/") for name in read)


def test_trees_that_the_new_index_lacks_are_forgotten(tmp_path: Path) -> None:
    with _tree_was_read(tmp_path) as (session, storage, tree):
        for index_id in _index_ids(session):
            storage.delete(file_name(INDEX, index_id))
        with session.hold() as held, pytest.raises(BlobMissingError):
            held.loader.load_tree(tree)


def _index_ids(session: RepositorySession) -> list[IndexId]:
    return [IndexId(raw) for raw, _ in list_ids(session.repository.storage, INDEX)]


@contextmanager
def _tree_was_read(folder: Path) -> Iterator[tuple[RepositorySession, CountingStorage, BlobId]]:
    """A session that has given up its lock, and the snapshot's root tree, which it has read before."""
    source, path = folder / "source", folder / "repository"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    with new_session(path) as session:
        EngineRun.of(session, source).run()
    with counted_session(path) as (session, storage):
        (stored,) = list_snapshots(session.repository)
        tree = BlobId(from_hex(stored.snapshot.tree))
        with session.hold() as held:
            held.loader.load_tree(tree)
        session.lease.close()
        yield session, storage, tree

"""What comes damaged from a place at a distance is read again, up to two times; from a local disk it is believed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import CorruptFileError
from holdfast.format.index import BlobType
from holdfast.ids import BlobId, IndexId, KeyId, sha256
from holdfast.repository.index.rewrite import entries_of
from holdfast.repository.key_files import read_key
from holdfast.repository.layout import INDEX, KEYS, list_ids
from holdfast.repository.packs.loader import BlobLoader
from holdfast.repository.repository import Repository, stored_config
from holdfast.repository.session import RepositorySession
from holdfast.runs.workspace import Workspace
from holdfast.storage.contract import Storage, Traits
from holdfast.storage.layers.layer import Layer
from tests.support.engine import PASSWORD, EngineRun
from tests.support.memory_storage import MemoryStorage

CONTENT = Random(1).randbytes(100_000)
BLOB, DATA = BlobId(sha256(CONTENT)), BlobType.DATA


class Garbling(Layer):
    """The first `times` answers about each file have a bit flipped in each byte; `asked` counts all of them."""

    def __init__(self, below: Storage, *, latency_s: float) -> None:
        super().__init__(below)
        self._traits = replace(below.traits, latency_s=latency_s)
        self.times = 0
        self.asked: Counter[str] = Counter()

    @property
    def traits(self) -> Traits:
        return self._traits

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        return self._garbled(name, self.below.get(name, limit_bytes=limit_bytes))

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        return self._garbled(name, self.below.get_range(name, offset, length))

    def get_range_into(self, name: str, offset: int, into: memoryview) -> None:
        into[:] = self._garbled(name, self.below.get_range(name, offset, len(into)))

    def _garbled(self, name: str, content: bytes) -> bytes:
        self.asked[name] += 1
        if self.asked[name] > self.times:
            return content
        return bytes(byte ^ 1 for byte in content)


class Reading:
    """A repository with a snapshot and a document of a run, and every way to read from it."""

    def __init__(self, folder: Path, latency_s: float) -> None:
        source = folder / "source"
        source.mkdir()
        (source / "file").write_bytes(CONTENT)
        below = MemoryStorage()
        session = RepositorySession(Repository.init(below, PASSWORD, kdf=ScryptParameters.for_tests()))
        EngineRun.of(session, source).run()
        with session.hold() as held:
            index = held.index
        session.close()
        Workspace(session.repository, "run").put("document", b"what it says")
        self.storage = Garbling(below, latency_s=latency_s)
        self.repository = repository = Repository.open(self.storage, PASSWORD)
        (index_id, _), *_ = list_ids(below, INDEX)
        ((key, _),) = list_ids(below, KEYS)
        blobs = BlobLoader(repository, index)
        packs = entries_of(session.repository, [pack.id for pack in index.packs()]).values()
        tree = next(blob.id for pack in packs for blob in pack.blobs if blob.type is BlobType.TREE)
        (planned,) = blobs.plan_reads([BLOB])
        self.ways: dict[str, Callable[[], object]] = {
            "config": lambda: Repository.open_with_key(
                self.storage, repository.handed_key, stored=stored_config(self.storage)
            ),
            "key": lambda: read_key(self.storage, KeyId(key)),
            "index": lambda: repository.load_file(INDEX, IndexId(index_id)),
            "document": lambda: Workspace(repository, "run").get("document"),
            "blob": lambda: blobs.load(BLOB, DATA),
            "tree": lambda: BlobLoader(repository, index).load_tree(tree),
            "range": lambda: [*blobs.read_range(planned)],
            "range in place": lambda: [(blob, bytes(data)) for blob, data in blobs.open_range(planned)],
        }

    def read(self, way: str, times: int) -> object:
        """What is read this way when it comes damaged so many times."""
        self.storage.asked.clear()
        self.storage.times = times
        return self.ways[way]()


WAYS = ("config", "key", "index", "document", "blob", "tree", "range", "range in place")


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_damaged_from_afar_is_read_again(tmp_path: Path, way: str) -> None:
    reading = Reading(tmp_path, latency_s=0.01)
    sound = reading.read(way, 0)
    for times in (1, 2):
        assert str(reading.read(way, times)) == str(sound)
        assert [*reading.storage.asked.values()] == [times + 1]
    with pytest.raises(CorruptFileError):
        reading.read(way, 100)
    assert [*reading.storage.asked.values()] == [3]


@pytest.mark.parametrize("way", WAYS)
def test_a_local_disk_gives_the_same_again(tmp_path: Path, way: str) -> None:
    reading = Reading(tmp_path, latency_s=0.0)
    reading.read(way, 0)
    with pytest.raises(CorruptFileError):
        reading.read(way, 100)
    most = 2 if way == "tree" else 1  # one that is damaged in its block is read by itself
    assert [*reading.storage.asked.values()] == [most]

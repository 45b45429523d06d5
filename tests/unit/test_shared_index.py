"""What processes of a host know of an index is there once; who dies or stops while it is told does no harm."""

import errno
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.format.index import BlobType, PackColumns
from holdfast.ids import BlobId, IndexId, PackId, sha256
from holdfast.repository.damage import DamagedPack
from holdfast.repository.index import shared as shared_index
from holdfast.repository.index.log import PACK, ROW_WORDS, IndexLog
from holdfast.repository.index.map import IndexMap
from holdfast.repository.index.shared import PLACES, SharedIndex

OWNER = sha256(b"a repository")
BLOB_BYTES = 500

PROJECT = Path(__file__).parent.parent.parent


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = SharedIndex.create_file()
    yield descriptor
    os.close(descriptor)


def index_id(name: str) -> IndexId:
    return IndexId(sha256(name.encode()))


def blobs_of(name: str, count: int) -> list[BlobId]:
    return [BlobId(sha256(f"{name} {number}".encode())) for number in range(count)]


def pack_of(name: str, count: int = 10, kind: BlobType = BlobType.DATA) -> PackColumns:
    return PackColumns(
        id=PackId(sha256(name.encode())),
        ids=b"".join(blobs_of(name, count)),
        types=[kind] * count,
        offsets=[at * BLOB_BYTES for at in range(count)],
        lengths=[BLOB_BYTES] * count,
        uncompressed_lengths=[2 * BLOB_BYTES] * count,
    )


def joined(memory: int, owner: bytes = OWNER) -> IndexLog:
    log = SharedIndex(memory).join(owner)
    assert log is not None
    return log


def held_bytes(memory: int) -> int:
    return os.fstat(memory).st_blocks * 512


def knows(index: IndexMap, name: str, count: int = 10, kind: BlobType = BlobType.DATA) -> bool:
    found = {index.has(blob, kind) for blob in blobs_of(name, count)}
    assert len(found) == 1
    return found.pop()


def test_what_one_was_told_others_recall_and_nobody_believes_what_it_was_not_told(memory: int) -> None:
    one, other = IndexMap(shared=joined(memory)), IndexMap(shared=joined(memory))
    one.load(index_id("first"), [pack_of("a"), pack_of("b", kind=BlobType.TREE)])
    assert knows(one, "a")
    assert knows(one, "b", kind=BlobType.TREE)
    assert not knows(one, "b")
    assert not knows(other, "a")
    assert not other.recall(index_id("second"))
    assert other.recall(index_id("first"))
    assert knows(other, "a")
    assert list(other.packs()) == list(one.packs())
    assert [other.lookup(blob) for blob in blobs_of("a", 10)] == [
        one.lookup(blob) for blob in blobs_of("a", 10)
    ]
    taken = held_bytes(memory)
    other.load(index_id("first"), [pack_of("a"), pack_of("b", kind=BlobType.TREE)])
    assert held_bytes(memory) == taken
    assert len(one) == len(other) == 20


def test_another_process_recalls_it(memory: int) -> None:
    index = IndexMap(shared=joined(memory))
    index.load(index_id("first"), [pack_of("a")])
    program = (
        "import sys; from tests.unit.test_shared_index import *; index = IndexMap(shared=joined(int(sys.argv[1])));"
        "assert index.recall(index_id('first')) and knows(index, 'a');"
        "index.load(index_id('second'), [pack_of('b')])"
    )
    subprocess.run([sys.executable, "-c", program, str(memory)], check=True, pass_fds=[memory], cwd=PROJECT)
    assert index.recall(index_id("second"))
    assert knows(index, "b")


@pytest.mark.parametrize("is_shared", [False, True])
def test_many_blobs_take_at_most_60_bytes_each_and_all_are_found(memory: int, *, is_shared: bool) -> None:
    index = IndexMap(shared=joined(memory) if is_shared else None)
    names = [f"pack {number}" for number in range(100)]
    for name in names:
        index.load(index_id(name), [pack_of(name, 2_000)])
    assert len(index) == 200_000
    assert all(knows(index, name, 2_000) for name in names)
    assert not knows(index, "stranger", 2_000)
    if is_shared:
        assert 52 * len(index) < held_bytes(memory) <= 60 * len(index)


def test_the_last_one_to_leave_gives_the_memory_back(memory: int) -> None:
    one, other = IndexMap(shared=joined(memory)), IndexMap(shared=joined(memory))
    one.load(index_id("first"), [pack_of("a", 5_000)])
    del one
    assert held_bytes(memory) > 5_000 * 52
    assert other.recall(index_id("first"))
    assert knows(other, "a", 5_000)
    del other
    assert not held_bytes(memory)
    assert not IndexMap(shared=joined(memory)).recall(index_id("first"))


def test_repositories_do_not_mix_and_who_finds_no_place_is_alone(memory: int) -> None:
    shared = SharedIndex(memory)
    indexes = [IndexMap(shared=shared.join(sha256(bytes([number])))) for number in range(PLACES)]
    indexes[0].load(index_id("first"), [pack_of("a")])
    assert not any(index.recall(index_id("first")) for index in indexes[1:])
    assert shared.join(OWNER) is None
    del indexes[1]
    assert shared.join(OWNER) is not None


class _Killing(Sequence[int]):
    """Ends the process that looks at the third of these numbers."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, at: object) -> int:  # type: ignore[override]
        if at == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return BLOB_BYTES


def test_who_is_killed_while_it_appends_leaves_nothing_that_is_believed(memory: int) -> None:
    index = IndexMap(shared=joined(memory))
    index.load(index_id("first"), [pack_of("a")])
    pid = os.fork()
    if not pid:
        IndexMap(shared=joined(memory)).load(
            index_id("second"), [pack_of("b"), replace(pack_of("c"), lengths=_Killing())]
        )
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert not index.recall(index_id("second"))
    index.load(index_id("second"), [pack_of("b"), pack_of("c")])
    other = IndexMap(shared=joined(memory))
    assert other.recall(index_id("first"))
    assert other.recall(index_id("second"))
    for found in (index, other):
        assert all(knows(found, name) for name in "abc")


def test_nobody_waits_long_for_one_that_was_stopped_while_it_appended(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_index, "_WAIT_S", 0.05)
    stopped, index = joined(memory), IndexMap(shared=joined(memory))
    with stopped.appending() as alone:
        assert alone
        begun = time.monotonic()
        index.load(index_id("first"), [pack_of("a")])
        assert time.monotonic() - begun < 1
    assert knows(index, "a")
    assert not IndexMap(shared=joined(memory)).recall(index_id("first"))


def test_who_has_waited_in_vain_does_not_wait_for_each_file(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_index, "_WAIT_S", 0.2)
    stopped, index = joined(memory), IndexMap(shared=joined(memory))
    with stopped.appending() as alone:
        assert alone
        begun = time.monotonic()
        for number in range(50):
            index.load(index_id(str(number)), [pack_of(str(number))])
        assert time.monotonic() - begun < 5


def test_a_place_that_cannot_be_emptied_is_given_to_nobody(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = os.fork()
    if not pid:  # it leaves its place full
        index = IndexMap(shared=joined(memory))
        index.load(index_id("first"), [pack_of("a", 40)])
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    whole, maps = mmap.mmap, iter((True, False))

    def map_once(*arguments: int, **more: int) -> mmap.mmap:
        if not next(maps, True):
            raise OSError(errno.EMFILE, "too many open files")
        return whole(*arguments, **more)

    monkeypatch.setattr(mmap, "mmap", map_once)
    other = IndexMap(shared=joined(memory, sha256(b"another repository")))
    monkeypatch.undo()
    other.load(index_id("second"), [pack_of("b", 3)])
    assert knows(other, "b", 3)
    assert not any(other.has(blob, BlobType.DATA) for blob in blobs_of("a", 40))


def test_places_of_the_dead_are_emptied(memory: int) -> None:
    pid = os.fork()
    if not pid:
        index = IndexMap(shared=joined(memory))
        index.load(index_id("first"), [pack_of("a", 1000)])
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    left = held_bytes(memory)
    kept = [joined(memory, sha256(b"another repository")), joined(memory, sha256(b"a third one"))]
    assert held_bytes(memory) < left / 2
    assert len(kept) == 2


def test_who_cannot_map_what_is_shared_keeps_it_to_itself(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = IndexMap(shared=joined(memory))

    def fail(*_arguments: int, **_more: int) -> mmap.mmap:
        raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr(shared_index.SharedIndex, "_map", fail)
    assert SharedIndex(memory).join(OWNER) is None
    index.load(index_id("first"), [pack_of("a")])
    assert knows(index, "a")


def test_a_file_whose_packs_are_not_to_be_seen_yet_is_not_believed(memory: int) -> None:
    log = joined(memory)
    IndexMap(shared=log).load(index_id("first"), [pack_of("a")])
    packs = log.packs(index_id("first"))
    assert packs is not None
    (pack,) = packs
    log.segments[0].words[(pack.first - 1) * ROW_WORDS + PACK] = 0
    other = IndexMap(shared=joined(memory))
    assert not other.recall(index_id("first"))
    assert not knows(other, "a")
    assert list(other.packs()) == []


def test_of_a_log_that_is_mostly_waste_another_is_begun(memory: int) -> None:
    old = IndexMap(shared=joined(memory))
    old.load(index_id("first"), [pack_of("a", 70_000)])
    new = IndexMap(shared=joined(memory))
    new.load(index_id("second"), [pack_of("b")])
    assert not old.close_waste()
    assert new.close_waste()
    fresh = IndexMap(shared=joined(memory))
    assert not fresh.recall(index_id("second"))
    fresh.load(index_id("second"), [pack_of("b")])
    assert not fresh.close_waste()
    taken = held_bytes(memory)
    del old, new
    assert held_bytes(memory) < taken / 10
    assert knows(fresh, "b")


def test_a_mark_of_damage_is_one_map_s_own(memory: int) -> None:
    sound = IndexMap(shared=joined(memory))
    sound.load(index_id("first"), [pack_of("a")])
    pack = pack_of("a").id
    bad, good = blobs_of("a", 2)
    damage = {pack: DamagedPack(pack=pack, blobs=frozenset({(bad, BlobType.DATA)}))}
    marked = IndexMap(damage, joined(memory))
    assert marked.recall(index_id("first"))
    assert [marked.has(blob, BlobType.DATA) for blob in (bad, good)] == [False, True]
    assert marked.lookup(bad) == sound.lookup(bad)
    assert knows(sound, "a")
    copy = replace(pack_of("a"), id=PackId(sha256(b"copy")))
    marked.load(index_id("second"), [copy])
    found = marked.lookup(bad)
    assert found is not None
    assert found.pack == copy.id


def test_of_two_descriptions_of_a_pack_the_first_counts(memory: int) -> None:
    index = IndexMap(shared=joined(memory))
    index.load(index_id("first"), [pack_of("a")])
    index.load(index_id("again"), [pack_of("a")])
    other = replace(pack_of("b"), id=pack_of("a").id, lengths=[BLOB_BYTES + 1] * 10)
    index.load(index_id("other"), [other])
    assert not knows(index, "b")
    assert len(index) == 10


def test_what_was_put_into_the_log_since_is_said(memory: int) -> None:
    one, other = IndexMap(shared=joined(memory)), IndexMap(shared=joined(memory))
    one.load(index_id("before"), [pack_of("b")])
    heard = other.news()
    assert heard is not None
    assert other.said_since(heard) == []
    one.load(index_id("first"), [pack_of("a")])
    assert other.said_since(heard) == one.said_since(heard) == [index_id("first")]
    one.tell()
    assert other.said_since(heard) is None


def test_what_finds_no_room_in_the_log_is_told_of(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    log = joined(memory)
    one, other = IndexMap(shared=log), IndexMap(shared=joined(memory))
    heard = other.news()
    assert heard is not None
    monkeypatch.setattr(log, "_segment_for", lambda *_: None)
    one.load(index_id("first"), [pack_of("a")])
    assert knows(one, "a")
    assert other.said_since(heard) is None


def test_a_log_that_is_closed_tells_nothing_any_more(memory: int) -> None:
    log = joined(memory)
    index = IndexMap(shared=log)
    heard = index.news()
    assert heard is not None
    log.close()
    assert index.news() is None
    assert index.said_since(heard) is None

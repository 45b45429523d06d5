"""What every storage must do; one class, a subclass for each kind (test_*.py beside this)."""

import threading
import time
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.errors import CorruptFileError, StoredFileMissingError, UsageError
from holdfast.storage.contract import Storage

LIMIT = 1 << 20
SKEW_NS = 2_000_000_000


def listed(storage: Storage, folder: str) -> set[str]:
    return {stored.name for stored in storage.list(folder)}


def settled(storage: Storage, folder: str) -> set[str]:
    """What a folder holds, when listings need no longer show what was deleted."""
    time.sleep(storage.settle_s)
    return listed(storage, folder)


class StorageConformance:
    """The contract of holdfast.storage.contract, sentence by sentence."""

    winners = 1
    """How many of several `put_new` learn that they have won, at least: none where an answer can be lost."""

    @abstractmethod
    def make(self, tmp_path: Path) -> Storage:
        """An empty storage."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return self.make(tmp_path)

    def test_what_was_put_is_there(self, storage: Storage) -> None:
        storage.put("data/00/one", b"content")
        assert storage.get("data/00/one", limit_bytes=LIMIT) == b"content"
        assert storage.size("data/00/one") == 7
        assert storage.size_or_none("data/00/one") == 7

    @pytest.mark.parametrize("data", [b"", b"x", b"\0" * 100_000])
    def test_any_size(self, storage: Storage, data: bytes) -> None:
        storage.put("config", data)
        assert storage.get("config", limit_bytes=LIMIT) == data
        assert storage.size("config") == len(data)

    def test_buffers_of_all_kinds(self, storage: Storage) -> None:
        backing = bytearray(b"-abcdef-")
        storage.put("a/view", memoryview(backing)[1:7])
        storage.put("a/parts", [b"ab", memoryview(b"cd"), bytearray(b"ef")])
        storage.put("a/none", [])
        backing[:] = b"overwritten"[:8]
        assert storage.get("a/view", limit_bytes=LIMIT) == b"abcdef"
        assert storage.get("a/parts", limit_bytes=LIMIT) == b"abcdef"
        assert storage.get("a/none", limit_bytes=LIMIT) == b""

    def test_put_replaces(self, storage: Storage) -> None:
        storage.put("a/b", b"first, and longer")
        storage.put("a/b", b"second")
        assert storage.get("a/b", limit_bytes=LIMIT) == b"second"

    def test_put_new_decides_once(self, storage: Storage) -> None:
        assert storage.put_new("a/b", b"first") or not self.winners
        assert not storage.put_new("a/b", b"second")
        assert storage.get("a/b", limit_bytes=LIMIT) == b"first"
        storage.delete("a/b")
        assert storage.put_new("a/b", b"third")

    def test_put_new_has_at_most_one_winner(self, storage: Storage) -> None:
        contenders = 8
        for round_number in range(5):
            name = f"decisions/{round_number}"
            barrier = threading.Barrier(contenders)

            def contend(number: int, name: str = name, barrier: threading.Barrier = barrier) -> bool:
                barrier.wait()
                return storage.put_new(name, b"%d" % number * 1000)

            with ThreadPoolExecutor(contenders) as pool:
                won = list(pool.map(contend, range(contenders)))
            assert self.winners <= won.count(True) <= 1
            standing = storage.get(name, limit_bytes=LIMIT)
            assert standing in {b"%d" % number * 1000 for number in range(contenders)}
            if True in won:
                assert standing == b"%d" % won.index(True) * 1000

    def test_readers_see_whole_files_only(self, storage: Storage) -> None:
        versions = {letter * 50_000 for letter in (b"a", b"b", b"c")}
        storage.put("x/file", b"a" * 50_000)
        stop = threading.Event()

        def overwrite() -> None:
            while not stop.is_set():
                for version in versions:
                    storage.put("x/file", version)

        writer = threading.Thread(target=overwrite)
        writer.start()
        try:
            seen = {storage.get("x/file", limit_bytes=LIMIT) for _ in range(200)}
        finally:
            stop.set()
            writer.join()
        assert seen <= versions

    def test_missing_file(self, storage: Storage) -> None:
        for read in (
            lambda: storage.get("a/b", limit_bytes=LIMIT),
            lambda: storage.get_range("a/b", 0, 1),
            lambda: storage.size("a/b"),
        ):
            with pytest.raises(StoredFileMissingError):
                read()
        assert storage.size_or_none("a/b") is None

    def test_limit(self, storage: Storage) -> None:
        storage.put("config", b"12345")
        assert storage.get("config", limit_bytes=5) == b"12345"
        with pytest.raises(CorruptFileError):
            storage.get("config", limit_bytes=4)

    def test_ranges(self, storage: Storage) -> None:
        storage.put("a/b", b"0123456789")
        assert storage.get_range("a/b", 0, 10) == b"0123456789"
        assert storage.get_range("a/b", 3, 4) == b"3456"
        assert storage.get_range("a/b", 10, 0) == b""
        for offset, length in ((0, 11), (8, 3), (11, 0), (100, 1)):
            with pytest.raises(CorruptFileError):
                storage.get_range("a/b", offset, length)

    def test_into_memory_that_is_there(self, storage: Storage) -> None:
        storage.put("a/b", b"0123456789")
        memory = bytearray(b"-" * 12)
        assert storage.get_into("a/b", memoryview(memory)) == 10
        assert memory == b"0123456789--"
        storage.get_range_into("a/b", 4, memoryview(memory)[:3])
        assert memory == b"4563456789--"
        with pytest.raises(CorruptFileError):
            storage.get_into("a/b", memoryview(memory)[:9])
        with pytest.raises(CorruptFileError):
            storage.get_range_into("a/b", 8, memoryview(memory)[:3])
        for read in (storage.get_into, lambda name, into: storage.get_range_into(name, 0, into)):
            with pytest.raises(StoredFileMissingError):
                read("not/there", memoryview(memory))

    def test_what_was_written_is_listed_at_once(self, storage: Storage) -> None:
        for number in range(20):
            storage.put(f"locks/{number}", b"")
            assert f"locks/{number}" in listed(storage, "locks")

    def test_listings_say_when_a_file_was_written(self, storage: Storage) -> None:
        before = time.time_ns()
        storage.put("a/b", b"1")
        storage.put_new("a/c", b"2")
        after = time.time_ns()
        # file systems date files by a clock that ticks; stores at a distance have one of their own
        for stored in storage.list("a"):
            assert before - SKEW_NS <= stored.modified_ns <= after + SKEW_NS
        assert {stored.name for stored in storage.list("a")} == {"a/b", "a/c"}

    def test_list_is_recursive_and_relative_to_the_storage(self, storage: Storage) -> None:
        for name in ("data/00/a", "data/00/b", "data/ff/c", "data/d", "index/e", "database"):
            storage.put(name, name.encode())
        assert {(f.name, f.size_bytes) for f in storage.list("data")} == {
            ("data/00/a", 9),
            ("data/00/b", 9),
            ("data/ff/c", 9),
            ("data/d", 6),
        }
        assert [f.name for f in storage.list("data/ff")] == ["data/ff/c"]
        assert list(storage.list("nowhere")) == []

    def test_list_survives_deletion_meanwhile(self, storage: Storage) -> None:
        names = {f"locks/{number}" for number in range(20)}
        for name in names:
            storage.put(name, b"")
        for stored in storage.list("locks"):
            assert stored.name in names
            for name in names:
                storage.delete(name)

    def test_delete(self, storage: Storage) -> None:
        storage.put("a/b", b"1")
        storage.put("a/c", b"2")
        storage.delete("a/b")
        storage.delete("a/b")
        storage.delete("never/there")
        assert settled(storage, "a") == {"a/c"}
        with pytest.raises(StoredFileMissingError):
            storage.get("a/b", limit_bytes=LIMIT)

    def test_delete_many(self, storage: Storage) -> None:
        for name in ("a/b", "a/c", "d/e", "d/f"):
            storage.put(name, b"1")
        storage.delete_many(iter(["a/b", "never/there", "d/e", "d/e"]))
        storage.delete_many([])
        assert settled(storage, "a") == {"a/c"}
        assert settled(storage, "d") == {"d/f"}

    def test_a_deleted_name_can_be_used_again(self, storage: Storage) -> None:
        storage.put("a/b", b"first")
        storage.delete("a/b")
        storage.put("a/b", b"second time")
        assert [(f.name, f.size_bytes) for f in storage.list("a")] == [("a/b", 11)]

    def test_closing_gives_back_what_a_later_use_takes_again(self, storage: Storage) -> None:
        storage.put("a/b", b"1")
        storage.close()
        storage.close()
        assert storage.get("a/b", limit_bytes=LIMIT) == b"1"

    def test_making_one_begins_nothing(self, tmp_path: Path) -> None:
        threads = threading.active_count()
        self.make(tmp_path / "not yet there")
        assert threading.active_count() == threads
        assert not (tmp_path / "not yet there").exists()

    def test_traits_make_sense(self, storage: Storage) -> None:
        traits = storage.traits
        assert traits == storage.traits
        assert traits.requests >= 1
        assert traits.transfers >= 1
        assert 0 <= traits.gap_bytes < traits.range_bytes
        assert traits.latency_s >= 0
        assert storage.settle_s >= 0

    def test_delete_folder(self, storage: Storage) -> None:
        for name in ("runs/one/a", "runs/one/deep/er/b", "runs/one-more/c"):
            storage.put(name, b"")
        storage.delete_folder("runs/one")
        storage.delete_folder("runs/one")
        assert settled(storage, "runs") == {"runs/one-more/c"}
        storage.put("runs/one/deep/b", b"again")
        assert storage.get("runs/one/deep/b", limit_bytes=LIMIT) == b"again"

    def test_put_into_a_folder_that_is_deleted_meanwhile(self, storage: Storage) -> None:
        """Each deletion runs beside the next put; a put meets one deletion, however slow the machine is."""
        puts, was_put = 50, threading.Semaphore(0)

        def delete() -> None:
            for _ in range(puts):
                was_put.acquire()
                storage.delete_folder("runs/one")

        deleter = threading.Thread(target=delete)
        deleter.start()
        for number in range(puts):
            storage.put(f"runs/one/sub/{number}", b"x")
            was_put.release()
        deleter.join()
        storage.delete_folder("runs/one")
        assert settled(storage, "runs") == set()

    def test_make_folders_changes_nothing_that_is_listed(self, storage: Storage) -> None:
        storage.make_folders(["data", "data/00", "data/01/02"])
        storage.make_folders(["data/00"])
        assert list(storage.list("data")) == []
        storage.put("data/00/x", b"")
        assert [f.name for f in storage.list("data")] == ["data/00/x"]

    def test_no_leftovers_without_accidents(self, storage: Storage) -> None:
        storage.put("a/b", b"1")
        storage.put_new("a/b", b"2")
        storage.put_new("a/c", b"3")
        assert storage.remove_leftovers(older_than_s=-60) == 0
        assert {f.name for f in storage.list("a")} == {"a/b", "a/c"}

    @pytest.mark.parametrize(
        "name",
        ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a b", "ä", "a\0", "a\nb", "a\n"],
    )
    def test_names_that_break_the_rules(self, storage: Storage, name: str) -> None:
        for use in (
            lambda: storage.put(name, b""),
            lambda: storage.put_new(name, b""),
            lambda: storage.get(name, limit_bytes=1),
            lambda: storage.get_range(name, 0, 0),
            lambda: storage.size(name),
            lambda: storage.size_or_none(name),
            lambda: storage.get_into(name, memoryview(bytearray(1))),
            lambda: storage.get_range_into(name, 0, memoryview(bytearray(1))),
            lambda: storage.delete(name),
            lambda: storage.delete_many([name]),
            lambda: storage.delete_folder(name),
            lambda: storage.make_folders([name]),
            lambda: list(storage.list(name)),
        ):
            with pytest.raises(UsageError):
                use()

    def test_location_is_for_people(self, storage: Storage) -> None:
        assert storage.location

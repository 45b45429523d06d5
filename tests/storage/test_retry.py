"""Short retries: what is tried again, how often, after which pause, and what is not."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from holdfast.errors import (
    HoldfastError,
    StorageDeniedError,
    StorageFullError,
    StorageUnavailableError,
    StoredFileMissingError,
)
from holdfast.storage.contract import Content, Storage, StoredFile, Traits
from holdfast.storage.layers.layer import Layer
from holdfast.storage.layers.retry import Retrying
from tests.support.doubles import READS, WRITES, Fault, FaultyStorage
from tests.support.memory_storage import MemoryStorage

USES: dict[str, Callable[[Storage], object]] = {
    "put": lambda storage: storage.put("a/b", b"1"),
    "put_new": lambda storage: storage.put_new("a/new", b"1"),
    "get": lambda storage: storage.get("a/b", limit_bytes=9),
    "get_range": lambda storage: storage.get_range("a/b", 0, 1),
    "get_into": lambda storage: storage.get_into("a/b", memoryview(bytearray(9))),
    "get_range_into": lambda storage: storage.get_range_into("a/b", 0, memoryview(bytearray(1))),
    "size": lambda storage: storage.size("a/b"),
    "size_or_none": lambda storage: storage.size_or_none("a/b"),
    "list": lambda storage: [*storage.list("a")],
    "delete": lambda storage: storage.delete("a/c"),
    "delete_many": lambda storage: storage.delete_many(iter(["a/c", "a/d"])),
    "delete_folder": lambda storage: storage.delete_folder("c"),
    "make_folders": lambda storage: storage.make_folders(iter(["c"])),
}


class Far(Layer):
    """A storage at a distance."""

    @property
    def traits(self) -> Traits:
        return replace(self.below.traits, latency_s=0.04)


class Failing(Layer):
    """Raises this error, however often it is asked."""

    def __init__(self, error: HoldfastError) -> None:
        super().__init__(MemoryStorage())
        self.error = error
        self.asked = 0

    def put(self, name: str, data: Content) -> None:
        self.asked += 1
        raise self.error

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        self.asked += 1
        raise self.error


def filled() -> MemoryStorage:
    storage = MemoryStorage()
    for name in ("a/b", "a/c", "a/d", "c/e"):
        storage.put(name, b"1")
    return storage


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("call", sorted(READS | WRITES))
def test_every_request_is_sent_again(call: str, *, done: bool) -> None:
    plain = USES[call](filled())
    with FaultyStorage(filled(), Fault(frozenset({call}), done=done)) as faulty:
        answer = USES[call](Retrying(faulty))
    if call == "put_new" and done:
        assert answer is False
    elif call == "list":
        assert isinstance(answer, list)
        assert len(answer) == 3
    else:
        assert answer == plain


@pytest.mark.parametrize(
    "error", [StorageDeniedError("no"), StorageFullError("full"), StoredFileMissingError("gone")]
)
def test_what_a_retry_cannot_help_is_not_tried_again(error: HoldfastError) -> None:
    below = Failing(error)
    with pytest.raises(type(error)):
        Retrying(below).put("a/b", b"")
    assert below.asked == 1


def test_a_bad_sector_is_read_once_and_written_twice() -> None:
    below = Failing(StorageUnavailableError("input/output error", medium_failed=True))
    with pytest.raises(StorageUnavailableError):
        Retrying(below).get("a/b", limit_bytes=1)
    assert below.asked == 1
    with pytest.raises(StorageUnavailableError):
        Retrying(below).put("a/b", b"")
    assert below.asked == 3


def test_a_distant_storage_is_asked_four_times_with_growing_pauses() -> None:
    pauses: list[float] = []
    below = Failing(StorageUnavailableError("503"))
    with pytest.raises(StorageUnavailableError):
        Retrying(Far(below), sleep=pauses.append).get("a/b", limit_bytes=1)
    assert below.asked == 4
    assert pauses == pytest.approx([0.2, 0.6, 1.8])


def test_a_storage_that_asks_to_be_left_alone_is() -> None:
    pauses: list[float] = []
    below = Failing(StorageUnavailableError("503", retry_after_s=1.0))
    with pytest.raises(StorageUnavailableError):
        Retrying(Far(below), sleep=pauses.append).get("a/b", limit_bytes=1)
    assert pauses == pytest.approx([1.0, 1.0, 1.8])


def test_a_long_wait_is_for_others_to_keep() -> None:
    below = Failing(StorageUnavailableError("503", retry_after_s=120.0))
    with pytest.raises(StorageUnavailableError) as raised:
        Retrying(Far(below), sleep=lambda _: pytest.fail("it waits")).get("a/b", limit_bytes=1)
    assert (below.asked, raised.value.retry_after_s) == (1, 120.0)


def test_a_listing_that_breaks_off_is_not_begun_again() -> None:
    class Breaking(Layer):
        def list(self, folder: str) -> Iterator[StoredFile]:
            yield from [*self.below.list(folder)][:1]
            raise StorageUnavailableError("the connection broke")

    listing = Retrying(Breaking(filled())).list("a")
    assert next(listing).name == "a/b"
    with pytest.raises(StorageUnavailableError):
        next(listing)

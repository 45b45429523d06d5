"""The contract on a real S3 server, and what is special about such a place."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import obstore
import pytest

from holdfast.errors import CorruptFileError, LockLostError, StorageDeniedError, StorageUnavailableError
from holdfast.storage.contract import Storage
from holdfast.storage.credentials import fixed
from holdfast.storage.layers.retry import Retrying
from holdfast.storage.locations import open_storage
from holdfast.storage.objects import clients
from holdfast.storage.objects.store import ObjectStorage
from tests.objects.opening import opened
from tests.storage.conformance import StorageConformance
from tests.support.proxy import Answer, Cut, Exchange, Flipped, FlippedOnTheWay, Lost, Proxy, Reset, Trickle
from tests.support.seaweed import Seaweed

MIB = 1 << 20


class TestS3(StorageConformance):
    @pytest.fixture(autouse=True)
    def _place(self, seaweed: Seaweed, prefix: str) -> None:
        self.location, self.environ = seaweed.location(prefix), seaweed.environ

    def make(self, tmp_path: Path) -> Storage:
        return open_storage(self.location, fixed(self.environ))


class TestS3ThroughTheProxy(StorageConformance):
    """The proxy itself changes nothing, which every test behind it relies on."""

    @pytest.fixture(autouse=True)
    def _place(self, proxy: Proxy, seaweed: Seaweed, prefix: str) -> None:
        self.location, self.environ = proxy.location(prefix), seaweed.environ

    def make(self, tmp_path: Path) -> Storage:
        return open_storage(self.location, fixed(self.environ))


def test_keys_are_the_names_below_the_prefix(storage: ObjectStorage, seaweed: Seaweed, prefix: str) -> None:
    storage.put("data/00/one", b"1")
    storage.put_new("config", b"2")
    pages = obstore.list(seaweed.store(), f"{prefix}/")
    assert {found["path"] for page in pages for found in page} == {
        f"{prefix}/data/00/one",
        f"{prefix}/config",
    }


@pytest.mark.parametrize("folder", ["with space", "ä", "a%20b", "a+b", "[x]~{y}", "deep/er"])
def test_any_prefix_that_restic_takes_makes_the_same_keys(seaweed: Seaweed, prefix: str, folder: str) -> None:
    storage = opened(seaweed.location(f"{prefix}/{folder}/"), seaweed.environ)
    storage.put("data/00/one", b"1")
    assert storage.get("data/00/one", limit_bytes=10) == b"1"
    assert [found.name for found in storage.list("data")] == ["data/00/one"]
    assert bytes(obstore.get(seaweed.store(), f"{prefix}/{folder}/data/00/one").bytes()) == b"1"


def test_a_pack_goes_out_as_one_request_and_comes_back_whole(between: ObjectStorage, proxy: Proxy) -> None:
    parts = [bytes([number]) * MIB for number in range(16)]
    between.put("data/00/pack", parts)
    assert proxy.requests == {("PUT", "data"): 1}
    buffer = bytearray(20 * MIB)
    assert between.get_into("data/00/pack", memoryview(buffer)) == 16 * MIB
    assert buffer[: 16 * MIB] == b"".join(parts)
    assert proxy.requests["GET", "data"] == 1


def test_a_file_beyond_the_limit_is_not_read(between: ObjectStorage) -> None:
    between.put("data/00/pack", bytes(8 * MIB))
    with pytest.raises(CorruptFileError, match="8388608 bytes, more than"):
        between.get("data/00/pack", limit_bytes=100)


def test_a_listing_of_many_pages_is_whole(
    between: ObjectStorage, proxy: Proxy, seaweed: Seaweed, prefix: str
) -> None:
    names = {f"index/{number:05d}" for number in range(2_300)}
    store = seaweed.store(prefix)
    for name in names:
        obstore.put(store, name, b"")
    listed = [found.name for found in between.list("index")]
    assert len(listed) == len(names)
    assert set(listed) == names
    assert proxy.requests["GET", "index"] == 3

    with proxy.meeting(Answer(503, "SlowDown"), Reset(), method="GET", folder="index", skip=1):
        assert {found.name for found in between.list("index")} == names

    class FirstPageAgain:
        """The server ignores where the listing is to go on (restic issue 3083)."""

        first: tuple[bytes, bytes] | None = None

        async def happen(self, exchange: Exchange) -> bool:
            self.first = self.first or await exchange.answer()
            await exchange.send(*self.first)
            return True

    with (
        proxy.meeting(FirstPageAgain(), each=True),
        pytest.raises(StorageDeniedError, match="same page again"),
    ):
        [*between.list("index")]

    proxy.requests.clear()
    between.delete_folder("index")
    assert [*between.list("index")] == []
    assert proxy.requests["POST", ""] == 3


def test_objects_that_stand_for_folders_are_not_listed(
    storage: ObjectStorage, seaweed: Seaweed, prefix: str
) -> None:
    storage.put("data/00/one", b"1")
    obstore.put(seaweed.store(), f"{prefix}/data/", b"")
    assert [found.name for found in storage.list("data")] == ["data/00/one"]


def test_files_are_removed_one_by_one_where_the_server_knows_no_other_way(
    between: ObjectStorage, proxy: Proxy
) -> None:
    names = [f"a/{number}" for number in range(5)]
    for name in names:
        between.put(name, b"")
    with proxy.meeting(Answer(501, "NotImplemented"), method="POST"):
        between.delete_many(names[:3])
    between.delete_many(names[3:])
    assert [*between.list("a")] == []
    assert proxy.requests["POST", ""] == 1
    assert proxy.requests["DELETE", "a"] == 5

    def until_the_lock_is_lost() -> Iterator[str]:
        yield from (f"b/{number}" for number in range(between.traits.requests))
        raise LockLostError("the lock is lost")

    with pytest.raises(LockLostError):
        between.delete_many(until_the_lock_is_lost())
    assert proxy.requests["DELETE", "b"] == between.traits.requests, (
        "these were asked for before the next name"
    )


def test_a_file_that_may_not_be_removed_is_an_error_in_an_answer_of_success(
    between: ObjectStorage, proxy: Proxy, prefix: str
) -> None:
    between.put("a/1", b"")
    error = f"<Error><Key>{prefix}/a/1</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
    body = f"<DeleteResult>{error}</DeleteResult>"
    with (
        proxy.meeting(Answer(200, body=body.encode()), method="POST"),
        pytest.raises(StorageDeniedError, match="403 AccessDenied"),
    ):
        between.delete_many(["a/1"])


BREAKS = [Reset(), Lost(), Answer(500, "InternalError"), Answer(503, "SlowDown"), Answer(429)]


@pytest.mark.parametrize(
    "happening",
    BREAKS,
    ids=repr,
)
def test_what_breaks_once_is_done_by_the_short_retries(
    between: ObjectStorage, proxy: Proxy, happening: Answer | Lost | Reset
) -> None:
    retrying = Retrying(between, sleep=lambda _: None)
    with proxy.meeting(happening):
        retrying.put("a/b", b"0123456789")
    with proxy.meeting(happening):
        assert retrying.get("a/b", limit_bytes=100) == b"0123456789"
    with proxy.meeting(happening):
        assert retrying.get_range("a/b", 3, 4) == b"3456"
    with proxy.meeting(happening):
        assert retrying.size("a/b") == 10
    with proxy.meeting(happening):
        assert [found.name for found in retrying.list("a")] == ["a/b"]
    with proxy.meeting(happening):
        assert retrying.put_new("a/new", b"mine") or isinstance(happening, Lost)
    assert retrying.get("a/new", limit_bytes=100) == b"mine"
    with proxy.meeting(happening):
        retrying.delete("a/b")
    with proxy.meeting(happening):
        retrying.delete_many(["a/new", "a/b"])
    assert [*retrying.list("a")] == []


@pytest.mark.parametrize(
    "happening",
    BREAKS,
    ids=repr,
)
def test_what_stays_broken_is_told_as_unavailable(
    between: ObjectStorage, proxy: Proxy, happening: Answer | Lost | Reset
) -> None:
    with proxy.meeting(happening, each=True), pytest.raises(StorageUnavailableError):
        Retrying(between, sleep=lambda _: None).put("a/b", b"x")


def test_an_answer_that_breaks_off_is_no_file(between: ObjectStorage, proxy: Proxy) -> None:
    between.put("a/b", bytes(3 * MIB))
    for read in (
        lambda: between.get("a/b", limit_bytes=4 * MIB),
        lambda: between.get_range("a/b", 10, 2 * MIB),
        lambda: between.get_into("a/b", memoryview(bytearray(3 * MIB))),
        lambda: [*between.list("a")],
    ):
        with proxy.meeting(Cut(), each=True), pytest.raises(StorageUnavailableError):
            read()


def test_what_was_damaged_on_its_way_is_not_stored(between: ObjectStorage, proxy: Proxy) -> None:
    with proxy.meeting(FlippedOnTheWay()), pytest.raises(StorageUnavailableError):
        between.put("data/00/pack", b"x" * 100_000)
    assert between.size_or_none("data/00/pack") is None


def test_what_was_damaged_on_its_way_back_is_for_the_hash_to_find(
    between: ObjectStorage, proxy: Proxy
) -> None:
    between.put("data/00/pack", b"x" * 1000)
    with proxy.meeting(Flipped()):
        assert between.get("data/00/pack", limit_bytes=1000) != b"x" * 1000


def test_a_server_that_is_away_is_unavailable_and_comes_back(between: ObjectStorage, proxy: Proxy) -> None:
    between.put("a/b", b"1")
    proxy.down()
    with pytest.raises(StorageUnavailableError, match="nothing answers there"):
        between.get("a/b", limit_bytes=1)
    proxy.up()
    assert between.get("a/b", limit_bytes=1) == b"1"


def test_two_conditional_writes_that_met_are_not_taken_for_one_that_won(
    between: ObjectStorage, proxy: Proxy
) -> None:
    conflict = Answer(409, "ConditionalRequestConflict")
    with (
        proxy.meeting(conflict),
        pytest.raises(StorageUnavailableError, match="409 ConditionalRequestConflict"),
    ):
        between.put_new("a/b", b"mine")
    between.put("a/b", b"somebody's")
    with proxy.meeting(conflict):
        assert not between.put_new("a/b", b"mine")


def test_a_server_that_ignores_ranges_is_refused(between: ObjectStorage, proxy: Proxy) -> None:
    between.put("a/b", b"0123456789")

    class Whole:
        async def happen(self, exchange: Exchange) -> bool:
            await exchange.send(
                b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: "x"\r\n'
                b"Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n0123456789"
            )
            return True

    with proxy.meeting(Whole()), pytest.raises(StorageDeniedError, match="cannot read parts"):
        between.get_range("a/b", 2, 3)


def test_a_bucket_that_is_not_there_is_no_empty_repository(seaweed: Seaweed) -> None:
    storage = opened(seaweed.location("prefix", bucket="not-there"), seaweed.environ)
    for ask in (
        lambda: storage.size_or_none("config"),
        lambda: storage.size("config"),
        lambda: storage.get("config", limit_bytes=10),
        lambda: storage.get_range("config", 0, 1),
        lambda: [*storage.list("index")],
        lambda: storage.put("a/b", b""),
        lambda: storage.put_new("a/b", b""),
    ):
        with pytest.raises(StorageDeniedError, match="there is no such bucket"):
            ask()


def test_limits_are_on_progress(
    between: ObjectStorage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing or a pack may take as long as it likes (restic issue 4970), as long as something comes."""
    for limit in ("_SILENCE", "_LONG_SILENCE"):
        monkeypatch.setattr(clients, limit, timedelta(seconds=0.6))
    content = bytes(range(256)) * 1000
    between.put("data/00/pack", content)
    with proxy.meeting(*[Trickle(8, 0.2)] * 3):
        assert between.get("data/00/pack", limit_bytes=MIB) == content
        assert between.get_range("data/00/pack", 10, 200_000) == content[10:200_010]
        assert [found.name for found in between.list("data")] == ["data/00/pack"]
    with proxy.meeting(Trickle(2, 2.0)), pytest.raises(StorageUnavailableError):
        between.get("data/00/pack", limit_bytes=MIB)

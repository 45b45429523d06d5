"""restic's REST protocol, on a real server, with and without --append-only."""

import hashlib
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from holdfast.errors import (
    CorruptFileError,
    HoldfastError,
    StorageDeniedError,
    StorageFullError,
    StorageUnavailableError,
    StoredFileMissingError,
    UsageError,
)
from holdfast.storage.credentials import Credentials, CredentialSource, fixed
from holdfast.storage.layers.retry import Retrying
from holdfast.storage.locations import open_storage
from holdfast.storage.rest import connections
from holdfast.storage.rest.place import RestPlace
from holdfast.storage.rest.store import RestStorage
from tests.support.proxy import Answer, Cut, Exchange, Lost, Proxy, Reset, Trickle
from tests.support.rclone import PASSWORD, USER, RestServer, running_rest_server

MIB = 1 << 20


@pytest.fixture(scope="module", params=[False, True], ids=["all", "append-only"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestServer]:
    folder = tmp_path_factory.mktemp("served")
    with running_rest_server(folder, append_only=request.param) as running:
        yield running


@pytest.fixture
def path() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def proxy(server: RestServer) -> Iterator[Proxy]:
    with Proxy(server.port) as between:
        yield between


def opened(location: str, source: CredentialSource) -> RestStorage:
    layered = open_storage(location, source)
    assert isinstance(layered, Retrying)
    assert isinstance(layered.below, RestStorage)
    return layered.below


@pytest.fixture
def storage(server: RestServer, path: str) -> RestStorage:
    return opened(server.location(path), fixed(server.environ))


@pytest.fixture
def between(server: RestServer, proxy: Proxy, path: str) -> RestStorage:
    return opened(f"rest:http://127.0.0.1:{proxy.port}/{path}", fixed(server.environ))


def named(content: bytes, folder: str = "data") -> str:
    """The name that restic gives this content."""
    digits = hashlib.sha256(content).hexdigest()
    return f"data/{digits[:2]}/{digits}" if folder == "data" else f"{folder}/{digits}"


@pytest.mark.parametrize("folder", ["data", "index", "keys", "locks", "snapshots"])
@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 5000], ids=len)
def test_what_was_put_is_there(storage: RestStorage, folder: str, content: bytes) -> None:
    name = named(content, folder)
    storage.put(name, [content[:7], memoryview(content)[7:]])
    assert storage.get(name, limit_bytes=2 * MIB) == content
    assert storage.size(name) == storage.size_or_none(name) == len(content)
    assert [(found.name, found.size_bytes) for found in storage.list(folder)] == [(name, len(content))]
    buffer = bytearray(len(content) + 5)
    assert storage.get_into(name, memoryview(buffer)) == len(content)
    assert buffer[: len(content)] == content


def test_files_lie_where_restic_has_them(storage: RestStorage, server: RestServer, path: str) -> None:
    storage.put(named(b"pack"), b"pack")
    storage.put(named(b"lock", "locks"), b"lock")
    assert storage.put_new("config", b"config")
    assert (server.folder / path / named(b"pack")).read_bytes() == b"pack"
    assert (server.folder / path / named(b"lock", "locks")).read_bytes() == b"lock"
    assert (server.folder / path / "config").read_bytes() == b"config"


def test_config_is_created_once(storage: RestStorage) -> None:
    assert storage.put_new("config", b"first")
    assert not storage.put_new("config", b"second")
    assert storage.get("config", limit_bytes=10) == b"first"


def test_the_same_content_again_is_success(storage: RestStorage) -> None:
    """restic's rest-server, issue 196: a retried upload must not fail because of its own first try."""
    storage.put(named(b"pack"), b"pack")
    storage.put(named(b"pack"), b"pack")
    assert not storage.put_new(named(b"pack"), b"pack")
    assert storage.get(named(b"pack"), limit_bytes=10) == b"pack"


def test_other_content_under_a_taken_name_is_refused(between: RestStorage, proxy: Proxy) -> None:
    name = named(b"pack")
    between.put(name, b"pack")
    with proxy.meeting(Answer(403)), pytest.raises(StorageDeniedError, match="append-only"):
        between.put(name, b"torn")
    with proxy.meeting(Answer(403)):
        between.put(name, b"pack")
    assert between.get(name, limit_bytes=10) == b"pack"


def test_ranges(storage: RestStorage) -> None:
    content = b"0123456789"
    name = named(content)
    storage.put(name, content)
    assert storage.get_range(name, 0, 10) == content
    assert storage.get_range(name, 3, 4) == b"3456"
    assert storage.get_range(name, 10, 0) == b""
    for offset, length in ((0, 11), (8, 3), (11, 0), (100, 1), (10, 1)):
        with pytest.raises(CorruptFileError):
            storage.get_range(name, offset, length)
    with pytest.raises(CorruptFileError, match="plausible"):
        storage.get(name, limit_bytes=9)
    with pytest.raises(CorruptFileError, match="plausible"):
        storage.get_into(name, memoryview(bytearray(9)))


def test_what_is_missing(storage: RestStorage) -> None:
    name = named(b"none")
    for read in (
        lambda: storage.get(name, limit_bytes=1),
        lambda: storage.get_range(name, 0, 1),
        lambda: storage.get_into(name, memoryview(bytearray(1))),
        lambda: storage.size(name),
    ):
        with pytest.raises(StoredFileMissingError):
            read()
    assert storage.size_or_none(name) is None
    storage.delete(named(b"none", "locks"))


def test_names_that_the_protocol_has_no_place_for(storage: RestStorage) -> None:
    for name in ("holdfast/runs/x", "data/one", f"data/00/{'f' * 64}", "locks/own", "other", "index/deep/x"):
        assert storage.size_or_none(name) is None
        storage.delete(name)
        for use in (
            lambda name=name: storage.put(name, b""),
            lambda name=name: storage.get(name, limit_bytes=1),
        ):
            with pytest.raises(StoredFileMissingError, match="no others"):
                use()
    assert [*storage.list("holdfast")] == []
    storage.delete_folder("holdfast/runs/x")
    assert not storage.traits.keeps_documents


def test_listings_of_a_folder_of_packs(storage: RestStorage) -> None:
    names = {named(b"%d" % number) for number in range(300)}
    for name in names:
        storage.put(name, b"x")
    assert {found.name for found in storage.list("data")} == names
    first = min(names).rpartition("/")[0]
    assert {found.name for found in storage.list(first)} == {name for name in names if name.startswith(first)}
    assert [*storage.list("snapshots")] == []


def test_locks_can_be_removed_and_packs_where_the_server_lets_us(
    storage: RestStorage, server: RestServer, path: str, request: pytest.FixtureRequest
) -> None:
    locks = [named(b"%d" % number, "locks") for number in range(20)]
    for name in locks:
        storage.put(name, b"lock")
    storage.delete_many([*locks, locks[0]])
    assert [*storage.list("locks")] == []
    storage.put(named(b"pack"), b"pack")
    if "append-only" in request.node.name:
        with pytest.raises(StorageDeniedError, match="append-only"):
            storage.delete(named(b"pack"))
        assert storage.size(named(b"pack")) == 4
    else:
        storage.delete(named(b"pack"))
        storage.delete(named(b"pack"))
        assert storage.size_or_none(named(b"pack")) is None


def test_many_threads_at_once(storage: RestStorage) -> None:
    contents = [bytes([number]) * 100_000 for number in range(40)]
    barrier = threading.Barrier(8)

    def work(number: int) -> bytes:
        if number < 8:
            barrier.wait()
        name = named(contents[number])
        storage.put(name, contents[number])
        return storage.get(name, limit_bytes=MIB)

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(work, range(40))] == contents


MEANINGS: list[tuple[int, type[HoldfastError]]] = [
    (400, StorageDeniedError),
    (401, StorageDeniedError),
    (403, StorageDeniedError),
    (405, StorageDeniedError),
    (413, StorageDeniedError),
    (429, StorageUnavailableError),
    (500, StorageUnavailableError),
    (503, StorageUnavailableError),
    (507, StorageFullError),
]


@pytest.mark.parametrize(("status", "expected"), MEANINGS)
def test_each_answer_has_one_meaning(
    between: RestStorage, proxy: Proxy, status: int, expected: type[HoldfastError]
) -> None:
    name = named(b"0123456789")
    between.put(name, b"0123456789")
    calls: list[Callable[[], object]] = [
        lambda: between.get(name, limit_bytes=100),
        lambda: between.get_range(name, 2, 3),
        lambda: between.size(name),
        lambda: [*between.list("data")],
        lambda: between.put(named(b"new"), b"new"),
        lambda: between.delete(name),
    ]
    for call in calls:
        with proxy.meeting(Answer(status)), pytest.raises(expected) as caught:
            call()
        assert PASSWORD not in f"{caught.value!r}{caught.value}"
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("happening", [Reset(), Lost(), Answer(500), Answer(503)], ids=repr)
def test_what_breaks_once_is_done_by_the_short_retries(
    between: RestStorage, proxy: Proxy, happening: Answer | Lost | Reset
) -> None:
    retrying = Retrying(between, sleep=lambda _: None)
    name, lock = named(b"0123456789"), named(b"lock", "locks")
    with proxy.meeting(happening):
        retrying.put(name, b"0123456789")
    with proxy.meeting(happening):
        retrying.put(lock, b"lock")
    with proxy.meeting(happening):
        assert retrying.get(name, limit_bytes=100) == b"0123456789"
    with proxy.meeting(happening):
        assert retrying.get_range(name, 3, 4) == b"3456"
    with proxy.meeting(happening):
        assert retrying.size(name) == 10
    with proxy.meeting(happening):
        assert [found.name for found in retrying.list("data")] == [name]
    with proxy.meeting(happening):
        retrying.delete(lock)
    assert [*retrying.list("locks")] == []


def test_an_answer_that_breaks_off_is_no_file(between: RestStorage, proxy: Proxy) -> None:
    content = bytes(3 * MIB)
    between.put(named(content), content)
    for read in (
        lambda: between.get(named(content), limit_bytes=4 * MIB),
        lambda: between.get_range(named(content), 10, 2 * MIB),
        lambda: between.get_into(named(content), memoryview(bytearray(3 * MIB))),
        lambda: [*between.list("data")],
    ):
        with proxy.meeting(Cut()), pytest.raises(StorageUnavailableError):
            read()


def test_a_server_that_is_away_comes_back(between: RestStorage, proxy: Proxy) -> None:
    between.put(named(b"1"), b"1")
    proxy.down()
    with pytest.raises(StorageUnavailableError, match="nothing answers there"):
        between.get(named(b"1"), limit_bytes=1)
    proxy.up()
    assert between.get(named(b"1"), limit_bytes=1) == b"1"


def test_a_listing_that_is_none_is_refused(between: RestStorage, proxy: Proxy) -> None:
    for body in (b"<html>", b'["v1"]', b"{}", b'[{"name": "x"}]'):
        with proxy.meeting(Answer(200, body=body)), pytest.raises(StorageDeniedError, match="version 2"):
            next(between.list("data"))


def test_a_folder_that_rclone_cannot_list_is_not_an_empty_one(between: RestStorage, proxy: Proxy) -> None:
    with (
        proxy.meeting(Answer(404, headers={"Server": "rclone/v1.75"})),
        pytest.raises(StorageUnavailableError, match="cannot list"),
    ):
        [*between.list("data")]
    with proxy.meeting(Answer(404)):
        assert [*between.list("data")] == []


def test_a_server_that_ignores_ranges_is_refused(between: RestStorage, proxy: Proxy) -> None:
    between.put(named(b"0123456789"), b"0123456789")
    with (
        proxy.meeting(Answer(200, body=b"0123456789")),
        pytest.raises(StorageDeniedError, match="parts of files"),
    ):
        between.get_range(named(b"0123456789"), 2, 3)

    class Elsewhere:
        async def happen(self, exchange: Exchange) -> bool:
            await exchange.send(
                b"HTTP/1.1 206 P\r\nContent-Length: 3\r\nContent-Range: bytes 0-2/10\r\n\r\n012"
            )
            return True

    with proxy.meeting(Elsewhere()), pytest.raises(CorruptFileError):
        between.get_range(named(b"0123456789"), 2, 3)


def test_the_wrong_password_is_told_and_another_one_asked_for(server: RestServer, path: str) -> None:
    wrong = Credentials(values={"RESTIC_REST_USERNAME": USER, "RESTIC_REST_PASSWORD": "canary-wrong"})
    storage = opened(server.location(path), lambda: wrong)
    with pytest.raises(StorageDeniedError, match="401") as caught:
        storage.put(named(b"1"), b"1")
    assert "canary" not in f"{caught.value!r}{caught.value}"
    sayings = [wrong, Credentials(values=server.environ)]
    storage = opened(server.location(path), lambda: sayings.pop(0) if len(sayings) > 1 else sayings[0])
    Retrying(storage, sleep=lambda _: None).put(named(b"1"), b"1")
    user = Credentials(values={"RESTIC_REST_PASSWORD": PASSWORD})
    location = server.location(path).replace("http://", f"http://{USER}@")
    assert opened(location, lambda: user).get(named(b"1"), limit_bytes=1) == b"1"


PLACES = [
    ("rest:http://localhost:1234", RestPlace(location="", port=1234)),
    ("rest:http://localhost:1234/", RestPlace(location="", port=1234)),
    (
        "rest:https://user@host/a/b",
        RestPlace(location="", scheme="https", host="host", path="/a/b/", user="user"),
    ),
    (
        "rest:http+unix:///run/rest.socket:/my_backup_repo/",
        RestPlace(location="", path="/my_backup_repo/", socket="/run/rest.socket"),
    ),
]


@pytest.mark.parametrize(("location", "expected"), PLACES)
def test_spellings(location: str, expected: RestPlace) -> None:
    place = RestPlace.parse(location)
    assert place == RestPlace(
        **{**{f: getattr(expected, f) for f in RestPlace.__slots__}, "location": location}
    )


@pytest.mark.parametrize(
    "location",
    ["rest:", "rest:host/path", "rest:ftp://canary/", "rest:https://u:canary@host/", "rest:https://:canary@h/",
     "rest:https://h/?canary", "rest:https://h:canary/", "rest:http+unix:/", "rest:https:///x"],
)  # fmt: skip
def test_a_location_that_makes_no_sense_or_holds_a_password_is_refused(location: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_storage(location)
    assert "canary" not in f"{caught.value!r}{caught.value}"


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_be_left_alone_is(between: RestStorage, proxy: Proxy, status: int) -> None:
    pauses: list[float] = []
    retrying = Retrying(between, sleep=pauses.append)
    name = named(b"pack")
    for ask in (
        lambda: retrying.put(name, b"pack"),
        lambda: retrying.get(name, limit_bytes=10),
        lambda: retrying.get_range(name, 0, 2),
        lambda: retrying.size(name),
        lambda: [*retrying.list("data")],
    ):
        with proxy.meeting(Answer(status, headers={"Retry-After": "7"})):
            ask()
    assert pauses == [7.0] * 5
    with (
        proxy.meeting(Answer(status, headers={"Retry-After": "300"})),
        pytest.raises(
            StorageUnavailableError, match=f"{status}, and asks to be left alone for 300 s"
        ) as raised,
    ):
        retrying.get(name, limit_bytes=10)
    assert raised.value.retry_after_s == 300.0


def test_limits_are_on_progress(between: RestStorage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing or a pack may take as long as it likes (restic issue 4970), as long as something comes."""
    monkeypatch.setattr(connections, "_LIMITS", urllib3.Timeout(connect=0.6, read=0.6))
    content = bytes(range(256)) * 1000
    between.put(named(content), content)
    with proxy.meeting(*[Trickle(8, 0.2)] * 3):
        assert between.get(named(content), limit_bytes=MIB) == content
        assert between.get_range(named(content), 10, 200_000) == content[10:200_010]
        assert [found.name for found in between.list("data")] == [named(content)]
    with proxy.meeting(*[Trickle(2, 2.0)] * 2):
        with pytest.raises(StorageUnavailableError, match="did not answer in time"):
            between.get(named(content), limit_bytes=MIB)
        with pytest.raises(StorageUnavailableError, match="did not answer in time"):
            [*between.list("data")]

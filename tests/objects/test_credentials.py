"""Credentials that change, expire, are refused or missing, and a process that was forked too late."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from obstore.store import S3Store

from holdfast.errors import StorageDeniedError, StorageUnavailableError, UsageError
from holdfast.storage.credentials import Credentials
from holdfast.storage.layers.retry import Retrying
from holdfast.storage.objects.clients import Clients
from holdfast.storage.objects.s3 import S3Place, with_shared_file
from holdfast.storage.objects.store import ObjectStorage
from tests.objects.opening import opened
from tests.support.answering import answering
from tests.support.proxy import Answer, Proxy
from tests.support.seaweed import KEY, SECRET, Seaweed

WRONG = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": "wrong"}


class Source:
    """Says one thing after the other, the last one for ever."""

    def __init__(self, *sayings: Credentials) -> None:
        self.sayings = [*sayings]
        self.asked = 0

    def __call__(self) -> Credentials:
        self.asked += 1
        return self.sayings.pop(0) if len(self.sayings) > 1 else self.sayings[0]


def test_credentials_that_are_refused_are_asked_for_again(seaweed: Seaweed, prefix: str) -> None:
    source = Source(Credentials(values=WRONG), Credentials(values=seaweed.environ))
    storage = opened(seaweed.location(prefix), source)
    with pytest.raises(StorageUnavailableError, match="there are newer credentials now"):
        storage.put("a/b", b"1")
    storage.put("a/b", b"1")
    assert source.asked == 2


def test_the_short_retries_use_what_is_newer(seaweed: Seaweed, prefix: str) -> None:
    source = Source(Credentials(values=WRONG), Credentials(values=seaweed.environ))
    Retrying(opened(seaweed.location(prefix), source), sleep=lambda _: None).put("a/b", b"1")
    assert source.asked == 2


def test_credentials_that_stay_wrong_are_refused_for_good(seaweed: Seaweed, prefix: str) -> None:
    source = Source(Credentials(values=WRONG))
    with pytest.raises(StorageDeniedError, match="SignatureDoesNotMatch"):
        Retrying(opened(seaweed.location(prefix), source)).put("a/b", b"1")
    assert source.asked == 2


def test_an_expired_token_is_waited_for(between: ObjectStorage, proxy: Proxy) -> None:
    with (
        proxy.meeting(Answer(400, "ExpiredToken")),
        pytest.raises(StorageUnavailableError, match="have expired"),
    ):
        between.put("a/b", b"1")


def test_a_source_is_asked_when_it_wants_to_be() -> None:
    now = [100.0]
    place = S3Place.parse("s3:https://host/bucket")
    source = Source(
        Credentials(values=WRONG, good_until_s=160.0),
        Credentials(values=WRONG, good_until_s=220.0),
        Credentials(values={**WRONG, "AWS_SESSION_TOKEN": "t"}),
    )
    clients = Clients(place.client, source, now=lambda: now[0])
    first = clients.reading()
    now[0] = 159.0
    assert clients.reading() is first
    now[0] = 160.0
    assert clients.reading() is first, "the same credentials keep their connections"
    now[0] = 221.0
    second = clients.reading()
    assert second is not first
    assert isinstance(second, S3Store)
    assert second.config["session_token"] == "t"
    now[0] = 1e9
    assert clients.reading() is second
    assert source.asked == 3


def test_what_is_sent_has_a_limit_that_grows_with_it() -> None:
    clients = Clients(S3Place.parse("s3:https://host/bucket").client, Source(Credentials(values=WRONG)))
    small, pack, large = clients.sending(1000), clients.sending(16 << 20), clients.sending(128 << 20)
    assert small is clients.reading()
    assert clients.sending(17 << 20) is pack

    def limit(client: object) -> str:
        assert isinstance(client, S3Store)
        assert client.client_options is not None
        assert "read_timeout" not in client.client_options
        return str(client.client_options["timeout"])

    assert (limit(pack), limit(large)) == ("22m 4s", "2h 21m 32s")
    for client in (clients.reading(), clients.listing()):
        assert isinstance(client, S3Store)
        assert "read_timeout" in (client.client_options or {})


def test_half_of_a_key_is_refused(seaweed: Seaweed, prefix: str) -> None:
    for name in WRONG:
        storage = opened(seaweed.location(prefix), {name: "canary"})
        with pytest.raises(StorageDeniedError, match="only one is given") as caught:
            storage.put("a/b", b"1")
        assert "canary" not in str(caught.value)


def write_profiles(path: Path, secret: str) -> None:
    path.write_text(
        "[default]\naws_access_key_id = other\naws_secret_access_key = other\n"
        f"[backup]\naws_access_key_id = {KEY}\naws_secret_access_key = {secret}\n"
    )


def test_the_file_that_awss_tools_share(seaweed: Seaweed, prefix: str, tmp_path: Path) -> None:
    shared = tmp_path / ".aws" / "credentials"
    shared.parent.mkdir()
    write_profiles(shared, SECRET)
    for values in (
        {"HOME": str(tmp_path), "AWS_PROFILE": "backup"},
        {"AWS_SHARED_CREDENTIALS_FILE": str(shared), "AWS_PROFILE": "backup"},
    ):
        opened(seaweed.location(prefix), values).put("a/b", b"1")
    with pytest.raises(StorageDeniedError, match="no profile 'absent'"):
        opened(seaweed.location(prefix), {"HOME": str(tmp_path), "AWS_PROFILE": "absent"}).put("a/b", b"1")
    with pytest.raises(StorageDeniedError, match="No such file"):
        opened(seaweed.location(prefix), {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}).put(
            "a/b", b""
        )


def test_a_shared_file_that_changes_is_seen(seaweed: Seaweed, prefix: str, tmp_path: Path) -> None:
    shared = tmp_path / "credentials"
    write_profiles(shared, "old")
    values = {"AWS_SHARED_CREDENTIALS_FILE": str(shared), "AWS_PROFILE": "backup"}
    now = time.time() + 10
    source = with_shared_file(Source(Credentials(values=values)), now=lambda: now)
    assert source().good_until_s == now + 60.0
    storage = opened(seaweed.location(prefix), source)
    with pytest.raises(StorageDeniedError):
        storage.put("a/b", b"1")
    write_profiles(shared, SECRET)
    with pytest.raises(StorageUnavailableError, match="newer credentials"):
        storage.put("a/b", b"1")
    storage.put("a/b", b"1")


@contextmanager
def role_of(answer: dict[str, str] | None) -> Iterator[str]:
    """A server that gives out a role's credentials, as a pod's agent does; its address."""

    class Agent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer or {}).encode()
            self.send_response(200 if answer else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Agent) as server, answering(server):
        yield f"http://127.0.0.1:{server.server_port}/role"


def test_without_keys_it_is_the_role_of_the_pod(seaweed: Seaweed, prefix: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("agent")
    expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    given = {"AccessKeyId": KEY, "SecretAccessKey": SECRET, "Token": "", "Expiration": expires}
    with role_of(given) as address:
        values = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": address,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
        }
        storage = opened(seaweed.location(prefix), values)
        storage.put("a/b", b"1")
        assert storage.get("a/b", limit_bytes=1) == b"1"


def test_a_child_does_not_wait_for_threads_that_its_parent_has(storage: ObjectStorage) -> None:
    storage.put("a/b", b"1")
    child = os.fork()
    if not child:  # no cleaning up, and no exception that leaves
        status = 1
        try:
            storage.get("a/b", limit_bytes=1)
        except UsageError as error:
            status = 0 if "forked" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

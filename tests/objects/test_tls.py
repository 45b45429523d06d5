"""Certificates of stores: the system's authorities, and the one that RESTIC_CACERT names."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import StorageDeniedError
from holdfast.storage.credentials import fixed
from holdfast.storage.layers.retry import Retrying
from holdfast.storage.locations import open_storage
from tests.support.certificates import Authority
from tests.support.proxy import Proxy
from tests.support.rclone import running_rest_server
from tests.support.seaweed import BUCKET, Seaweed

LOCK = f"locks/{'0' * 64}"


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """Of a server with a certificate by `ca`; beside it there is a stranger's authority."""
    Authority(folder=tmp_path, name="ca").issue("server")
    Authority(folder=tmp_path, name="stranger")
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    return made


@pytest.fixture(params=["s3", "rest"])
def place(
    request: pytest.FixtureRequest, tls: ssl.SSLContext, seaweed: Seaweed, prefix: str, tmp_path: Path
) -> Iterator[tuple[str, dict[str, str]]]:
    """(location, variables)"""
    if request.param == "s3":
        with Proxy(seaweed.port, tls=tls) as proxy:
            yield f"s3:https://127.0.0.1:{proxy.port}/{BUCKET}/{prefix}", seaweed.environ
        return
    with running_rest_server(tmp_path / "kept") as rest, Proxy(rest.port, tls=tls) as proxy:
        yield f"rest:https://127.0.0.1:{proxy.port}/kept/", rest.environ


def test_only_a_trusted_certificate_will_do(place: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    location, environ = place

    def opened(**more: str) -> Retrying:
        storage = open_storage(location, fixed({**environ, **more}))
        assert isinstance(storage, Retrying)
        return storage

    for storage in (opened(), opened(RESTIC_CACERT=str(tmp_path / "stranger.pem"))):
        with pytest.raises(StorageDeniedError, match="certificate is not trusted"):
            storage.put(LOCK, b"1")
    ours = opened(RESTIC_CACERT=str(tmp_path / "ca.pem"))
    ours.put(LOCK, b"1")
    assert ours.get(LOCK, limit_bytes=1) == b"1"
    assert [found.name for found in ours.list("locks")] == [LOCK]
    with pytest.raises(StorageDeniedError, match=r"none\.pem"):
        opened(RESTIC_CACERT=str(tmp_path / "none.pem")).put(LOCK, b"1")

"""One S3 server for all tests of a process, and storages in it, each with a prefix of its own."""

import uuid
from collections.abc import Iterator

import pytest

from holdfast.storage.objects.store import ObjectStorage
from tests.objects.opening import opened
from tests.support.proxy import Proxy
from tests.support.seaweed import Seaweed, running_seaweed


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    with running_seaweed() as server:
        yield server


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def proxy(seaweed: Seaweed, prefix: str) -> Iterator[Proxy]:
    """A proxy before the server."""
    with Proxy(seaweed.port, prefix=prefix) as between:
        yield between


@pytest.fixture
def storage(seaweed: Seaweed, prefix: str) -> Iterator[ObjectStorage]:
    """A storage without retries, straight at the server."""
    plain = opened(seaweed.location(prefix), seaweed.environ)
    yield plain
    plain.close()


@pytest.fixture
def between(seaweed: Seaweed, proxy: Proxy, prefix: str) -> Iterator[ObjectStorage]:
    """The same place without retries, through the proxy."""
    plain = opened(proxy.location(prefix), seaweed.environ)
    yield plain
    plain.close()

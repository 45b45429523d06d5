"""Object stores: the contract on a real S3 server, and what is special about such a place."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.storage.contract import Storage
from holdfast.storage.credentials import fixed
from holdfast.storage.locations import open_storage
from tests.storage.conformance import StorageConformance
from tests.support.seaweed import Seaweed, running_seaweed


@pytest.fixture(scope="module")
def server() -> Iterator[Seaweed]:
    with running_seaweed() as seaweed:
        yield seaweed


def opened(server: Seaweed, prefix: str = "") -> Storage:
    location = server.location(prefix or uuid.uuid4().hex)
    return open_storage(location, fixed(server.environ))


class TestS3(StorageConformance):
    @pytest.fixture(autouse=True)
    def _server(self, server: Seaweed) -> None:
        self.server = server

    def make(self, tmp_path: Path) -> Storage:
        return opened(self.server)

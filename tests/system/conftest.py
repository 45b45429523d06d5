"""One Temporal server for the session; two hosts with one repository for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.support.hosts import Hosts
from tests.support.temporal_server import running_server


@pytest.fixture(scope="session")
def server_address() -> Iterator[str]:
    with running_server() as address:
        yield address


@pytest.fixture
async def client(server_address: str) -> Client:
    return await Client.connect(server_address)


@pytest.fixture
def hosts(tmp_path: Path, server_address: str) -> Hosts:
    return Hosts(folder=tmp_path, address=server_address)

"""One Temporal server for the session; an installation and a client for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.support.service import Installation
from tests.support.temporal_server import running_server


@pytest.fixture(scope="session")
def server_address() -> Iterator[str]:
    with running_server() as address:
        yield address


@pytest.fixture
async def client(server_address: str) -> Client:
    return await Client.connect(server_address)


@pytest.fixture
def installation(tmp_path: Path, server_address: str) -> Installation:
    return Installation(folder=tmp_path, address=server_address)

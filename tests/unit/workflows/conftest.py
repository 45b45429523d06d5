"""One Temporal server for the session, one client for each test."""

from collections.abc import Iterator

import pytest
from temporalio.client import Client

from tests.support.temporal_server import running_server
from workflows.registration import ensure_search_attributes


@pytest.fixture(scope="session")
def server_address() -> Iterator[str]:
    with running_server() as address:
        yield address


@pytest.fixture
async def client(server_address: str) -> Client:
    connected = await Client.connect(server_address)
    await ensure_search_attributes(connected)
    return connected

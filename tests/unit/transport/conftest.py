"""Clients with a key, with another one, and without."""

import pytest
from temporalio.client import Client

from holdfast.workflows.registration import ensure_search_attributes
from tests.unit.transport.signed import Keys


@pytest.fixture(params=["signing", "sealing"])
def keys(request: pytest.FixtureRequest) -> Keys:
    return Keys(seals=request.param == "sealing")


@pytest.fixture
async def ours(server_address: str, keys: Keys) -> Client:
    """A client of the installation."""
    connected = await keys.client(server_address)
    await ensure_search_attributes(connected)
    return connected


@pytest.fixture
async def mallory(server_address: str, ours: Client) -> Client:
    """A client of anybody who reaches the server."""
    return await Client.connect(server_address)

"""A client that may use search attributes, for each test."""

import pytest
from temporalio.client import Client

from holdfast.workflows.registration import ensure_search_attributes


@pytest.fixture
async def client(server_address: str) -> Client:
    connected = await Client.connect(server_address)
    await ensure_search_attributes(connected)
    return connected

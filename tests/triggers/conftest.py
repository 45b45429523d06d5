"""A site and a client for each test."""

from pathlib import Path

import pytest
from temporalio.client import Client

from tests.triggers.site import Site


@pytest.fixture
async def client(server_address: str) -> Client:
    return await Client.connect(server_address)


@pytest.fixture
def site(tmp_path: Path, server_address: str) -> Site:
    return Site(folder=tmp_path, address=server_address)

"""Two hosts with one repository, and a client, for each test."""

from pathlib import Path

import pytest
from temporalio.client import Client

from tests.support.hosts import Hosts


@pytest.fixture
async def client(server_address: str) -> Client:
    return await Client.connect(server_address)


@pytest.fixture
def hosts(tmp_path: Path, server_address: str) -> Hosts:
    return Hosts(folder=tmp_path, address=server_address)

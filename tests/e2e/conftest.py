"""An installation and a client for each test."""

from pathlib import Path

import pytest
from temporalio.client import Client

from tests.support.service import Installation


@pytest.fixture
async def client(server_address: str) -> Client:
    return await Client.connect(server_address)


@pytest.fixture
def installation(tmp_path: Path, server_address: str) -> Installation:
    return Installation(folder=tmp_path, address=server_address)

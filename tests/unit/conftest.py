"""A Temporal server of their own for unit tests: they leave workflows open that `holdfast status` would ask in vain."""

from collections.abc import Iterator

import pytest

from tests.support.temporal_server import running_server


@pytest.fixture(scope="session")
def server_address() -> Iterator[str]:
    with running_server() as address:
        yield address

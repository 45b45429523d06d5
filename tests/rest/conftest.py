"""Servers for all tests of a process."""

from collections.abc import Iterator

import pytest

from tests.support.ssh import SshServer, running_sshd


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with running_sshd(tmp_path_factory.mktemp("ssh")) as server:
        yield server

"""The command line on a REST server and over SFTP, as restic's users call it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.comparison import same
from tests.support.far_host import FarHost
from tests.support.rclone import PASSWORD, environ_with_rclone, running_rest_server
from tests.support.ssh import SshServer


@contextmanager
def _host(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[FarHost]:
    if kind == "sftp":
        server: SshServer = request.getfixturevalue("sshd")
        environ = environ_with_rclone(server.environ)
        yield FarHost(folder, f"sftp:{server.host}:{folder}/kept", environ)
        return
    with running_rest_server(folder / "kept", append_only=True) as rest:
        yield FarHost(folder, rest.location("repository"), rest.environ)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["rest", "sftp"])
def test_as_restics_users_call_it(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with _host(kind, tmp_path, request) as host:
        assert "NO" not in host.run("storage", "check")
        host.run("init")
        assert "verified" in host.run("backup", host.source)
        (host.source / "more").write_bytes(b"more")
        assert "1 new" in host.run("backup", host.source)
        host.run("restore", f"latest:{host.source}", "--target", host.folder / "target")
        assert same(host.source, host.folder / "target")
        assert "no problems" in host.run("verify", "--read-data")
        host.assert_nowhere(PASSWORD)
        assert not list((host.folder / "kept").rglob("holdfast"))

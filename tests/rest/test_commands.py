"""The command line on a REST server and over SFTP, as restic's users call it."""

from pathlib import Path

import pytest

from tests.support.comparison import same
from tests.support.engine import make_repository
from tests.support.far_host import FarHost
from tests.support.rclone import PASSWORD, environ_with_rclone, running_rest_server
from tests.support.ssh import SshServer


@pytest.mark.timeout(600)
def test_as_restics_users_call_it(tmp_path: Path) -> None:
    with running_rest_server(tmp_path / "kept", append_only=True) as rest:
        host = FarHost(tmp_path, rest.location("repository"), rest.environ)
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


@pytest.mark.timeout(600)
def test_over_sftp(tmp_path: Path, sshd: SshServer) -> None:
    """Workers start rclone, each its own; what they do then is tried without commands in test_runs.py."""
    host = FarHost(tmp_path, f"sftp:{sshd.host}:{tmp_path}/kept", environ_with_rclone(sshd.environ))
    make_repository(host.location, environ=host.environ)
    assert "verified" in host.run("backup", host.source)
    host.run("restore", f"latest:{host.source}", "--target", host.folder / "target")
    assert same(host.source, host.folder / "target")
    assert not list((host.folder / "kept").rglob("holdfast"))

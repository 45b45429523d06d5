"""The command line on a bucket: as restic's users call it, with a service beside, and through a server that dies."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.comparison import same
from tests.support.engine import make_repository
from tests.support.far_host import PATIENCE_S, FarHost
from tests.support.proxy import Answer, Faults, Proxy
from tests.support.seaweed import SECRET, Seaweed
from tests.support.stock import Restic


@pytest.fixture
def host(tmp_path: Path, seaweed: Seaweed, prefix: str) -> FarHost:
    return FarHost(tmp_path, seaweed.location(prefix), seaweed.environ)


@pytest.mark.timeout(600)
def test_as_restics_users_call_it(host: FarHost, seaweed: Seaweed) -> None:
    assert "NO" not in host.run("storage", "check")
    assert "there is no repository" in host.run("backup", host.source, code=10)
    assert f"at {host.location}" in host.run("init")
    assert "verified" in host.run("backup", host.source)
    assert "file-39" in host.run("ls", "latest")
    host.run("restore", f"latest:{host.source}", "--target", host.folder / "target")
    assert same(host.source, host.folder / "target")
    assert "no problems" in host.run("verify", "--read-data")
    Restic(host.location, host.environ).assert_sound(snapshots=1)
    assert "only one is given" in host.run("snapshots", code=1, AWS_SECRET_ACCESS_KEY="")
    denied = host.run("backup", host.source, code=1, AWS_SECRET_ACCESS_KEY="canary-wrong")
    assert "SignatureDoesNotMatch" in denied
    assert "canary" not in denied.replace(seaweed.environ["AWS_ACCESS_KEY_ID"], "")
    host.assert_nowhere(SECRET)


@pytest.mark.timeout(600)
def test_a_service_has_the_credentials_of_the_profile(host: FarHost, seaweed: Seaweed, prefix: str) -> None:
    host.run("init")
    values = seaweed.environ
    (host.folder / "password").write_text("correct horse")
    credentials = host.folder.parent / f"{prefix}.env"
    credentials.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    settings = f"""
        [repositories.off]
        location = "{host.location}"
        password_file = "password"
        credentials_file = "{credentials}"
        [sources.home]
        repository = "off"
        paths = ["{host.source}"]
        [worker]
        processes = 2
    """
    with host.serving(settings):
        assert "verified" in host.run("backup", "--source", "home")
        assert "verified" in host.run("backup", "--source", "home")
        assert "file-39" in host.run("ls", "latest")
    Restic(host.location, {**host.environ, **values}).assert_sound(snapshots=2)
    host.assert_nowhere(SECRET)


@pytest.mark.timeout(600)
def test_a_backup_outlives_a_store_that_goes_away_and_workers_that_are_killed(
    tmp_path: Path, seaweed: Seaweed, prefix: str
) -> None:
    with Proxy(seaweed.port, prefix=prefix) as proxy:
        host = FarHost(tmp_path, proxy.location(prefix), seaweed.environ)
        make_repository(host.location, environ=seaweed.environ)
        proxy.usual(delay_s=0.05)
        proxy.requests.clear()
        with host.start("backup", host.source) as process:
            _until(lambda: proxy.requests["PUT", "data"] > 0)
            proxy.down()
            time.sleep(3)
            for worker in _workers(process.pid):
                os.kill(worker, signal.SIGKILL)
            time.sleep(2)
            proxy.up()
            printed, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, printed
        assert "verified" in printed
        Restic(seaweed.location(prefix), host.environ).assert_sound(snapshots=1)


@pytest.mark.heavy
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("refused", [True, False], ids=["refused", "slow-down"])
def test_a_backup_waits_for_a_store_that_is_away_for_five_minutes(
    tmp_path: Path, seaweed: Seaweed, prefix: str, *, refused: bool
) -> None:
    with Proxy(seaweed.port, prefix=prefix) as proxy:
        host = FarHost(tmp_path, proxy.location(prefix), seaweed.environ)
        make_repository(host.location, environ=seaweed.environ)
        proxy.usual(delay_s=0.05)
        proxy.requests.clear()
        with host.start("backup", host.source) as process:
            _until(lambda: proxy.requests["PUT", "data"] > 0)
            if refused:
                proxy.down()
            else:
                proxy.plan = Faults(Answer(503, "SlowDown", {"Retry-After": "5"}), each=True)
            before = proxy.requests.total()
            time.sleep(300)
            asked = proxy.requests.total() - before
            if refused:
                proxy.up()
            proxy.plan = None
            printed, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, printed
        assert "(trying again)" in printed
        print(f"{asked} requests in five minutes without an answer")  # noqa: T201 - what it measured
        Restic(seaweed.location(prefix), host.environ).assert_sound(snapshots=1)


def _until(happens: object) -> None:
    assert callable(happens)
    until = time.monotonic() + PATIENCE_S
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.01)


def _workers(parent: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], check=True, capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return [int(pid) for pid, ppid, words in rows if int(ppid) == parent and "worker.py" in words]

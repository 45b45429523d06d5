"""What rclone reaches through a child of this process: a folder, and an SFTP server."""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import StorageDeniedError, StoredFileMissingError, UsageError
from holdfast.storage.contract import Storage
from holdfast.storage.credentials import fixed
from holdfast.storage.layers.retry import Retrying
from holdfast.storage.locations import open_storage
from holdfast.storage.rest.child import RclonePlace
from tests.support.rclone import environ_with_rclone, running_webdav
from tests.support.ssh import SshServer

MIB = 1 << 20
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def webdav(tmp_path: Path) -> Iterator[str]:
    with running_webdav(tmp_path) as url:
        yield url


@pytest.fixture(params=["rclone", "webdav", "sftp", "sftp-url"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """A storage over `tmp_path / "kept"`."""
    environ = {"RCLONE_CONFIG_HERE_TYPE": "alias", "RCLONE_CONFIG_HERE_REMOTE": str(tmp_path)}
    location = "rclone:here:kept"
    if request.param == "webdav":
        url = request.getfixturevalue("webdav")
        environ = {"RCLONE_CONFIG_HERE_TYPE": "webdav", "RCLONE_CONFIG_HERE_URL": url}
        environ["RCLONE_CONFIG_HERE_VENDOR"] = "rclone"
    elif request.param != "rclone":
        server: SshServer = request.getfixturevalue("sshd")
        environ = server.environ
        location = f"sftp:{server.host}:{tmp_path}/kept"
        if request.param == "sftp-url":
            location = f"sftp://{server.host}/{tmp_path}/kept"
    made = open_storage(location, fixed(environ_with_rclone(environ)))
    yield made
    made.close()


def named(content: bytes, folder: str = "data") -> str:
    digits = hashlib.sha256(content).hexdigest()
    return f"data/{digits[:2]}/{digits}" if folder == "data" else f"{folder}/{digits}"


def test_files_lie_where_restic_has_them(storage: Storage, tmp_path: Path) -> None:
    content = os.urandom(3 * MIB)
    storage.put(named(content), content)
    storage.put(named(b"lock", "locks"), b"lock")
    assert storage.put_new("config", b"config")
    assert not storage.put_new("config", b"other")
    assert (tmp_path / "kept" / named(content)).read_bytes() == content
    assert (tmp_path / "kept" / "config").read_bytes() == b"config"
    assert storage.get(named(content), limit_bytes=4 * MIB) == content
    assert storage.get_range(named(content), MIB - 5, 10) == content[MIB - 5 : MIB + 5]
    assert [found.name for found in storage.list("locks")] == [named(b"lock", "locks")]
    storage.delete(named(b"lock", "locks"))
    assert [*storage.list("locks")] == []
    assert storage.size_or_none(named(b"none")) is None
    with pytest.raises(StoredFileMissingError):
        storage.get(named(b"none"), limit_bytes=1)
    storage.close()
    assert storage.get("config", limit_bytes=10) == b"config"


def children(of: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(of)], check=False, capture_output=True, text=True
    )
    return [int(pid) for pid in found.stdout.split()]


def descendants(of: int) -> dict[int, str]:
    """Pid and name of each."""
    found: dict[int, str] = {}
    for child in children(of):
        try:
            name = Path(f"/proc/{child}/comm").read_text().strip()
        except OSError:
            continue
        found |= {child: name, **descendants(child)}
    return found


def rclones(of: int) -> list[int]:
    return [pid for pid, name in descendants(of).items() if name == "rclone"]


def test_a_child_that_was_killed_is_started_again(tmp_path: Path) -> None:
    environ = {"RCLONE_CONFIG_HERE_TYPE": "alias", "RCLONE_CONFIG_HERE_REMOTE": str(tmp_path)}
    storage = open_storage("rclone:here:kept", fixed(environ_with_rclone(environ)))
    storage.put(named(b"1"), b"1")
    [first] = rclones(os.getpid())
    os.kill(first, signal.SIGKILL)
    assert storage.get(named(b"1"), limit_bytes=1) == b"1"
    [second] = rclones(os.getpid())
    assert second != first
    storage.close()
    assert rclones(os.getpid()) == []


def test_the_child_and_its_folder_go_with_a_storage_that_nobody_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environ = {"RCLONE_CONFIG_HERE_TYPE": "alias", "RCLONE_CONFIG_HERE_REMOTE": str(tmp_path)}
    storage = open_storage("rclone:here:kept", fixed(environ_with_rclone(environ)))
    storage.put_new("config", b"1")
    [folder] = tmp_path.glob("holdfast-rclone-*")
    forked = os.fork()
    if not forked:
        del storage  # which is the parent's as well
        os._exit(0 if folder.exists() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 0
    assert storage.get("config", limit_bytes=1) == b"1"
    [_] = rclones(os.getpid())
    del storage
    assert not folder.exists()
    assert rclones(os.getpid()) == []


OWNER = """
import os, sys, time
from holdfast.storage.credentials import fixed
from holdfast.storage.locations import open_storage
storage = open_storage("rclone:here:kept", fixed(dict(os.environ)))
storage.put_new("config", b"1")
print("ready", flush=True)
time.sleep(600)
"""


def test_the_child_ends_with_its_process_also_by_sigkill(tmp_path: Path) -> None:
    environ = environ_with_rclone(
        {"RCLONE_CONFIG_HERE_TYPE": "alias", "RCLONE_CONFIG_HERE_REMOTE": str(tmp_path)}
    )
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=PROJECT, env=environ, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        born = descendants(owner.pid)
        assert "rclone" in born.values()
        owner.kill()
    until = time.monotonic() + 20
    while left := [pid for pid in born if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until, left
        time.sleep(0.05)


def test_nobody_else_can_use_the_socket(tmp_path: Path) -> None:
    environ = {"RCLONE_CONFIG_HERE_TYPE": "alias", "RCLONE_CONFIG_HERE_REMOTE": str(tmp_path)}
    storage = open_storage("rclone:here:kept", fixed(environ_with_rclone(environ)))
    storage.put_new("config", b"1")
    [child] = rclones(os.getpid())
    words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
    [address] = [word for word in words if word.startswith(b"unix://")]
    folder = Path(os.fsdecode(address.removeprefix(b"unix://"))).parent
    assert folder.stat().st_mode & 0o077 == 0
    storage.close()
    assert not folder.exists()


def test_what_rclone_cannot_reach_is_told_with_its_own_words(tmp_path: Path) -> None:
    storage = open_storage("rclone:absent:x", fixed(environ_with_rclone({})))
    with pytest.raises(StorageDeniedError, match=r"rclone cannot serve it: .*absent"):
        storage.get("config", limit_bytes=1)
    storage = open_storage("rclone:absent:x", fixed({"PATH": str(tmp_path)}))
    with pytest.raises(StorageDeniedError, match="the program rclone is not there"):
        storage.get("config", limit_bytes=1)


SFTP = [
    ("sftp://user@host/dir/subdir", ("-l user host", "dir/subdir")),
    ("sftp://host//dir/subdir", (" host", "/dir/subdir")),
    ("sftp://user@host:10022//dir///subdir", ("-p 10022 -l user host", "/dir/subdir")),
    ("sftp://user@[::1]:22/dir", ("-p 22 -l user ::1", "dir")),
    ("sftp:user@host:/dir/subdir", ("-l user host", "/dir/subdir")),
    ("sftp:user@domain@host:/dir/subdir", ("-l user@domain host", "/dir/subdir")),
    ("sftp:host:../dir/subdir", (" host", "../dir/subdir")),
    ("sftp:user@host:dir/subdir:suffix", ("-l user host", "dir/subdir:suffix")),
    ("sftp:user@host:dir/subdir/../other", ("-l user host", "dir/other")),
]


@pytest.mark.parametrize(("location", "expected"), SFTP)
def test_spellings_of_sftp(location: str, expected: tuple[str, str]) -> None:
    words, path = expected
    place = RclonePlace.parse_sftp(location)
    ssh, _, rest = place.remote.removeprefix(':sftp,ssh="').partition('"')
    assert ssh.endswith(words)
    assert rest == f",shell_type=none:{path}"
    assert open_storage(location).location == location


@pytest.mark.parametrize(
    "location",
    ["sftp:", "sftp:host", "sftp://host", "sftp://host/", "sftp://host:dir", "sftp:host:~/x", "sftp:-oProxy=x:/x",
     "sftp:a b:/x", 'sftp:h"x:/y', "sftp://u:canary@h/x", "sftp:-l@host:/x", "rclone:", "rclone:x",
     "rclone::sftp,pass=canary:x", "rclone::/x", "rclone:b2,key=canary:x"],
)  # fmt: skip
def test_a_location_that_makes_no_sense_or_holds_a_secret_is_refused(location: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_storage(location)
    assert "canary" not in f"{caught.value!r}{caught.value}"


def test_it_is_retried_as_any_place_at_a_distance(tmp_path: Path) -> None:
    assert isinstance(open_storage("rclone:here:x"), Retrying)
    assert open_storage("sftp:h:/x").traits.latency_s > 0

"""The command line at work: real commands, a real service, a real repository, and restic to compare with."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import fork_server
from tests.support.comparison import restic
from tests.support.engine import make_repository

PROJECT = Path(__file__).parent.parent.parent
PASSWORD = "canary-password-horse"
UNREADABLE = Path("/proc/sys/vm/compact_memory")
PATIENCE_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Host:
    """A folder with settings, a state directory, a repository profile and a small source of every kind."""

    folder: Path

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
            "HOME": str(self.folder),
            "PYTHONPATH": str(PROJECT),
            "HOLDFAST_CONFIG": str(self.folder / "holdfast.toml"),
            "HOLDFAST_STATE_DIR": str(self.folder / "state"),
        }

    def prepare(self) -> None:
        (self.folder / "password").write_text(PASSWORD + "\n")
        (self.folder / "holdfast.toml").write_text(
            f"""
            [repositories.main]
            location = "{self.repository}"
            password_file = "password"
            [sources.home]
            repository = "main"
            paths = ["{self.source}"]
            tags = ["nightly"]
            [worker]
            processes = 1
            graceful_shutdown = "1s"
            heartbeat_timeout = "5s"
            heartbeat_throttle = "1s"
            """
        )
        (self.source / "folder").mkdir(parents=True)
        (self.source / "folder" / "small").write_text("hello\n")
        (self.source / "folder" / os.fsdecode(b"na\xffme")).write_text("bytes\n")
        (self.source / "larger").write_bytes(os.urandom(3 << 20))
        (self.source / "link").symlink_to("larger")
        os.mkfifo(self.source / "fifo")
        (self.source / "larger").chmod(0o4750)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return fork_server.Popen(
            [sys.executable, "-m", "holdfast.starter", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert "Traceback" not in err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def messages(self, *arguments: str, code: int = 0) -> list[dict[str, object]]:
        """The JSON lines of a command that ends with `code`."""
        done = self.run(*arguments, "--json")
        assert done.returncode == code, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def restic(self, *arguments: str) -> str:
        return restic(self.repository, PASSWORD.encode(), *arguments)

    def differences(self, restored: Path) -> str:
        """What rsync would change to make `restored` like the source; nothing when they are identical."""
        command = ["rsync", "-aHAXn", "--checksum", "--delete", "--itemize-changes"]
        command += [f"{self.source}/", f"{restored}/"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def service(host: Host) -> Iterator["subprocess.Popen[str]"]:
    """`holdfast up`, ended with Ctrl-C."""
    up = host.start("up")
    assert up.stderr is not None
    try:
        for line in up.stderr:
            if "Web UI" in line:
                break
        yield up
    finally:
        if up.poll() is None:
            up.send_signal(signal.SIGINT)
        up.communicate(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    made = Host(folder=tmp_path_factory.mktemp("host"))
    made.prepare()
    make_repository(made.repository, PASSWORD.encode())
    return made


@pytest.fixture(scope="module")
def served(host: Host) -> Iterator[Host]:
    with service(host):
        yield host


@pytest.fixture(scope="module")
def snapshot(served: Host) -> str:
    """A snapshot of the source, by the service."""
    summary = served.messages("backup", "home")[-1]
    return str(summary["snapshot_id"])


def test_a_backup_ends_with_restics_summary_and_ours(served: Host) -> None:
    summary = served.messages("backup", "home", "--force", "--tag", "x,y")[-1]
    assert summary["message_type"] == "summary"
    assert summary["files_new"] == summary["total_files_processed"] == 3
    assert summary["bytes_read"] == summary["total_bytes_processed"]
    assert (summary["bytes_reread"], summary["resumed_from_checkpoint"]) == (0, False)
    assert (summary["status"], summary["verified_ok"]) == ("complete", True)
    assert str(summary["run_id"]).startswith("backup:")
    stored = json.loads(served.restic("snapshots", "--json", str(summary["snapshot_id"])[:8]))[0]
    assert stored["id"] == summary["snapshot_id"]
    assert {"x", "y"} <= set(stored["tags"])
    served.restic("check", "--read-data")


def test_snapshots_are_listed_as_restic_lists_them(served: Host, snapshot: str) -> None:
    ours = json.loads(served.run("snapshots", "--json").stdout)
    theirs = json.loads(served.restic("snapshots", "--json"))
    for mine, other in zip(ours, theirs, strict=True):
        assert other.items() <= mine.items()
    assert snapshot in {listed["id"] for listed in ours}
    newest = json.loads(served.run("snapshots", "--json", "--latest", "1", "--tag", "nightly").stdout)
    assert len(newest) == 1
    assert "nightly" in served.run("snapshots").stdout
    elsewhere = served.run("snapshots", "--json", "--host", "elsewhere")
    assert (elsewhere.returncode, elsewhere.stdout) == (1, "")


def test_files_are_listed_node_by_node_as_restic_lists_them(served: Host, snapshot: str) -> None:
    ours = served.messages("ls", snapshot)
    theirs = [json.loads(line) for line in served.restic("ls", "--json", snapshot).splitlines()]
    assert ours[0]["struct_type"] == "snapshot"
    assert [{key: node[key] for key in node if key != "message_type"} for node in ours[1:]] == theirs[1:]
    inside = served.run("ls", "-q", "latest", str(served.source / "folder")).stdout.splitlines()
    assert [Path(path).name for path in inside] == ["folder", "na\\xffme", "small"]


def test_a_restore_is_identical_and_a_second_one_writes_nothing(served: Host, snapshot: str) -> None:
    target = served.folder / "restored"
    wanted = f"{snapshot}:{served.source}"
    first = served.messages("restore", wanted, "--target", str(target), "--verify")[-1]
    assert (first["message_type"], first["status"], first["verified_ok"]) == ("summary", "complete", True)
    assert served.differences(target) == ""
    again = served.messages("restore", wanted, "--target", str(target))[-1]
    assert again["bytes_restored"] == 0


def test_a_dry_run_lists_what_it_would_do_and_does_nothing(served: Host, snapshot: str) -> None:
    target = served.folder / "dry"
    target.mkdir()
    (target / "extra").touch()
    lines = served.messages(
        "restore", f"{snapshot}:{served.source}", "-t", str(target), "--dry-run", "--delete"
    )
    actions = {(line["action"], line["item"]) for line in lines if line["message_type"] == "verbose_status"}
    assert {("restored", "/larger"), ("restored", "/folder/small"), ("deleted", "/extra")} <= actions
    assert [path.name for path in target.iterdir()] == ["extra"]


def test_parts_are_restored_by_pattern_by_path_and_by_list(served: Host, snapshot: str) -> None:
    listed = served.folder / "listed"
    listed.write_bytes(b"/folder/na\xffme\0")
    for number, chosen in enumerate(
        (["--include", "small"], ["/folder/small"], ["--files-from-raw", str(listed)])
    ):
        target = served.folder / f"part{number}"
        done = served.run("restore", f"{snapshot}:{served.source}", *chosen, "-t", str(target))
        assert done.returncode == 0, done.stderr
        files = [os.fsencode(path.name) for path in target.rglob("*") if path.is_file()]
        assert files == ([b"na\xffme"] if number == 2 else [b"small"])


@pytest.mark.parametrize("level", ["structure", "full"])
def test_a_damaged_pack_is_found_by_a_full_verification(served: Host, snapshot: str, level: str) -> None:
    copy = Host(folder=served.folder / f"damaged-{level}")
    copy.folder.mkdir()
    copy.prepare()
    shutil.copytree(served.repository, copy.repository)
    assert copy.messages("verify", snapshot, "--level", level)[-1]["num_errors"] == 0
    pack = max((copy.repository / "data").rglob("*"), key=lambda path: path.stat().st_size * path.is_file())
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(content)
    summary = copy.messages("verify", snapshot, "--level", level, code=int(level == "full"))[-1]
    assert bool(summary["num_errors"]) is (level == "full")


def test_unreadable_files_make_a_partial_snapshot_that_names_them(served: Host) -> None:
    with contextlib.suppress(OSError), UNREADABLE.open("rb"):
        pytest.skip("everything can be read here")
    done = served.run("backup", "-r", "main", str(served.source / "folder"), str(UNREADABLE), "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "partial"
    error = json.loads(done.stderr.splitlines()[0])
    assert (error["message_type"], error["item"]) == ("error", str(UNREADABLE))


def test_a_run_that_is_detached_shows_in_status_until_it_ends(served: Host) -> None:
    started = served.messages("backup", "home", "--detach", "--force")[-1]
    while True:
        told = json.loads(served.run("status", "home", "--json").stdout)["sources"][0]
        newest = told["runs"][0]
        if newest["status"] != "running":
            break
        assert all(run["workflow_id"] == started["workflow_id"] for run in told["under_way"])
    assert (newest["status"], newest["subject"], told["state"]) == ("complete", "home", "good")
    assert "Status" in served.run("status", newest["short_id"]).stdout


def test_a_location_that_the_service_was_not_given_is_refused_with_a_way_out(served: Host) -> None:
    other = served.folder / "other repository"
    shutil.copytree(served.repository, other)
    done = served.run("backup", "-r", str(other), "-p", "password", str(served.source))
    assert done.returncode == 12
    assert len(done.stderr.splitlines()) == 2
    assert "holdfast up --repo" in done.stderr


def test_mistakes_found_by_the_worker_come_back_with_their_exit_code(served: Host) -> None:
    unknown = served.run("restore", "deadbeef", "-t", "nothing", "-q")
    assert unknown.returncode == 1
    assert unknown.stderr.splitlines()[0] == "Error: no snapshot's id begins with 'deadbeef'"


def test_keys_are_added_changed_and_removed(host: Host) -> None:
    alone = Host(folder=host.folder / "keys")
    alone.folder.mkdir()
    alone.prepare()
    assert alone.run("init").returncode == 0
    (alone.folder / "second").write_text("second\n")
    (alone.folder / "third").write_text("third\n")
    assert alone.run("key", "add", "--new-password-file", "second").returncode == 0
    assert alone.run("-p", "second", "key", "passwd", "--new-password-file", "third").returncode == 0
    assert alone.run("-p", "second", "snapshots").returncode == 12
    listed = json.loads(alone.run("-p", "third", "key", "list", "--json").stdout)
    assert sum(key["current"] for key in listed) == 1
    first = next(key["id"] for key in listed if not key["current"])
    assert alone.run("-p", "third", "key", "remove", first).returncode == 0
    assert alone.run("snapshots").returncode == 12
    assert list((alone.repository / "locks").iterdir()) == []


def test_a_command_alone_brings_its_own_service_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    """SIGKILL of the command in the middle; the same command again goes on; Ctrl-C; resume.

    The run is throttled before it reads: after the kill, whose timeout is over when the server is back, it would
    otherwise end before the next command asks for it.
    """
    alone = Host(folder=tmp_path)
    alone.prepare()
    ready = tmp_path / "throttled"
    wait = f'[hooks.wait]\ncommand = ["sh", "-c", "until test -e {ready}; do sleep 0.05; done"]\n'
    settings = (tmp_path / "holdfast.toml").read_text()
    settings = settings.replace("tags =", 'before = ["wait"]\ntags =')
    (tmp_path / "holdfast.toml").write_text(settings + wait)
    make_repository(alone.repository, PASSWORD.encode())
    (alone.source / "big").write_bytes(os.urandom(160 << 20))
    killed = alone.start("backup", "home")
    _wait_until_open(alone, killed)
    assert alone.run("throttle", "home", "8MiB").returncode == 0
    ready.touch()
    _wait_for_packs(alone, killed, 16 << 20)
    killed.kill()
    killed.communicate()
    assert json.loads(alone.run("status", "--json").stdout)["runs"][0]["status"] == "interrupted"

    stopped = alone.start("backup", "home")
    assert stopped.stdout is not None
    assert "already under way; following it" in stopped.stdout.readline()
    stopped.send_signal(signal.SIGINT)
    _, err = stopped.communicate(timeout=PATIENCE_S)
    assert stopped.returncode == 130, err
    assert "holdfast resume" in err

    summary = alone.messages("resume")[-1]
    assert summary["status"] == "complete"
    snapshots = json.loads(alone.run("snapshots", "--json").stdout)
    assert [listed["id"] for listed in snapshots] == [summary["snapshot_id"]]
    alone.restic("check")


def _wait_until_open(host: Host, running: "subprocess.Popen[str]") -> None:
    """Until the run can be asked for something."""
    while not json.loads(host.run("status", "--json").stdout)["runs"]:
        assert running.poll() is None, running.communicate()


def _wait_for_packs(host: Host, running: "subprocess.Popen[str]", at_least: int) -> None:
    """Until the repository holds so many bytes."""
    while sum(path.stat().st_size for path in (host.repository / "data").glob("*/[0-9a-f]*")) < at_least:
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)

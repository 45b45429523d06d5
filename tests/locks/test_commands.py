"""Locks at the command line: a test by SIGHUP, a killed worker, a read-only medium, a damaged newest snapshot."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.ids import to_hex
from holdfast.repository.layout import LOCKS
from tests.support import fork_server
from tests.support.counting import PROJECT
from tests.support.engine import EngineRun, make_repository, open_session

_PASSWORD = "pw"
_PATIENCE_S = 120.0
_FAILED = 1


class Host:
    """A source, a repository, and commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        self.repository = folder / "repository"
        self.source.mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "HOLDFAST_STATE_DIR": str(folder / "state"),
            "RESTIC_REPOSITORY": str(self.repository),
            "RESTIC_PASSWORD": _PASSWORD,
        }

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "holdfast.starter", *words]

    def holdfast(self, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        ended = fork_server.run(
            self.command(*words),
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=PROJECT,
            timeout=_PATIENCE_S,
        )
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended

    def locks(self) -> list[str]:
        return os.listdir(self.repository / LOCKS)

    def back_up(self, text: str) -> str:
        """The file `f` with this text, backed up without a command; the snapshot's id."""
        (self.source / "f").write_text(text)
        with open_session(self.repository, _PASSWORD.encode()) as session:
            return to_hex(EngineRun.of(session, self.source, run_id=text).run().snapshot)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    make_repository(host.repository, _PASSWORD.encode())
    return host


def until(is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


@contextlib.contextmanager
def listing(host: Host, **more: object) -> Iterator["subprocess.Popen[bytes]"]:
    """`ls` that has taken a lock, and waits until what it prints is read. One that was ended may have left its lock."""
    before = set(host.locks())
    with subprocess.Popen(
        host.command("ls", "latest"),
        stdout=subprocess.PIPE,
        env=host.environment | {"PYTHONUNBUFFERED": "1"},
        cwd=PROJECT,
        **more,  # type: ignore[call-overload]
    ) as process:
        try:
            until(lambda: bool(set(host.locks()) - before))
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def long_list(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A snapshot of which `ls` prints more than a pipe holds. Its commands only read."""
    host = Host(tmp_path_factory.mktemp("long"))
    make_repository(host.repository, _PASSWORD.encode())
    for number in range(3_000):
        (host.source / f"{number:05d}-{'x' * 80}").touch()
    host.back_up("v")
    until(lambda: not host.locks())
    return host


def test_restic_s_test_ends_no_command_and_costs_no_line(long_list: Host) -> None:
    with listing(long_list) as process:
        for _ in range(3):
            process.send_signal(signal.SIGHUP)
            time.sleep(0.1)  # the write that waits for a reader is interrupted each time
        assert process.stdout is not None
        assert process.stdout.read().count(b"\n") > 3_000
        assert process.wait() == 0


def test_a_command_still_ends_with_its_terminal(long_list: Host) -> None:
    main, terminal = pty.openpty()
    with listing(long_list, stdin=terminal, start_new_session=True, preexec_fn=_take_terminal) as process:
        os.close(terminal)
        process.send_signal(signal.SIGHUP)  # a test: the terminal is there
        time.sleep(0.5)
        assert process.poll() is None
        os.close(main)
        assert process.wait(_PATIENCE_S) == -signal.SIGHUP


def test_a_service_outlives_the_test_of_a_number_that_it_has_by_chance(host: Host) -> None:
    """As in two containers with one host name, where the process of a lock is another one's number."""
    with subprocess.Popen(
        host.command("up"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=host.environment,
        cwd=PROJECT,
    ) as service:
        assert service.stderr is not None
        until(lambda: b"serving" in service.stderr.readline())  # type: ignore[union-attr]
        service.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            service.wait(1.0)
        service.terminate()
        service.communicate(timeout=_PATIENCE_S)
        assert service.returncode == 0


def _take_terminal() -> None:
    import fcntl  # noqa: PLC0415
    import termios  # noqa: PLC0415

    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests that `nohup` has begun hand on that it is ignored
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_a_worker_outlives_the_test_and_what_it_starts_does_not_inherit_that(host: Host) -> None:
    """Signals as they stand in /proc: caught in the worker, and as ever in a command that is a source."""
    seen = host.folder / "seen"
    script = f"grep -E 'SigIgn|SigCgt' /proc/self/status > {seen}.self; cp /proc/$PPID/status {seen}.worker; echo x"
    (host.folder / "holdfast.toml").write_text(
        f'[repositories.main]\nlocation = "{host.repository}"\npassword_env = "RESTIC_PASSWORD"\n'
        f'[sources.made]\nrepository = "main"\ncommand = ["sh", "-c", "{script}"]\nfile = "made"\n'
    )
    host.environment["HOLDFAST_CONFIG"] = str(host.folder / "holdfast.toml")
    host.holdfast("backup", "-q", "made")
    bit = 1 << (signal.SIGHUP - 1)
    masks = dict(line.split(":") for line in Path(f"{seen}.self").read_text().splitlines())
    assert not int(masks["SigIgn"], 16) & bit
    worker = dict(line.split(":\t", 1) for line in Path(f"{seen}.worker").read_text().splitlines())
    assert int(worker["SigCgt"], 16) & bit


def test_a_killed_worker_s_lock_goes_with_its_run(host: Host) -> None:
    from tests.faults.test_two_namespaces import command_of, descendants  # noqa: PLC0415

    (host.source / "large").write_bytes(os.urandom(120_000_000))
    process = fork_server.Popen[bytes](
        host.command("backup", "-q", "--verify", "none", str(host.source)), env=host.environment, cwd=PROJECT
    )
    holders: set[str] = set()

    def workers() -> list[int]:
        return [pid for pid in descendants({process.pid}) if b"worker.py" in command_of(pid)]

    until(lambda: bool(host.locks()) and bool(workers()))
    until(lambda: any((host.repository / "data").rglob("*/*")))
    killed = workers()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    holders.update(host.locks())
    assert holders
    assert process.wait(_PATIENCE_S) == 0
    until(lambda: not holders & set(host.locks()))
    assert not host.locks()


@pytest.mark.skipif(os.geteuid() != 0, reason="root mounts")
def test_a_read_only_medium_restores_lists_and_verifies_and_takes_no_backup(host: Host) -> None:
    host.back_up("v")
    copy = host.folder / "ro"
    copy.mkdir()
    subprocess.run(["mount", "--bind", str(host.repository), str(copy)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(copy)], check=True)
        before = sorted(host.repository.rglob("*"))
        ended = host.holdfast(
            "-r", str(copy), "restore", f"latest:{host.source}", "--target", str(host.folder / "out")
        )
        assert "nothing is locked" in ended.stderr
        assert (host.folder / "out" / "f").read_text() == "v"
        assert "no problems" in host.holdfast("-r", str(copy), "verify", "--read-data").stdout
        assert str(host.source / "f") in host.holdfast("-r", str(copy), "ls", "latest").stdout
        assert "read-only" in host.holdfast("-r", str(copy), "backup", str(host.source), code=_FAILED).stderr
        assert sorted(host.repository.rglob("*")) == before
    finally:
        subprocess.run(["umount", str(copy)], check=True)


def test_without_a_lock_nothing_is_written_to_the_repository(host: Host) -> None:
    host.back_up("v")
    until(lambda: not host.locks())
    before = {path: path.stat().st_mtime_ns for path in host.repository.rglob("*")}
    host.holdfast("restore", "latest", "--no-lock", "--target", str(host.folder / "out"))
    host.holdfast("verify", "--no-lock", "--read-data")
    host.holdfast("ls", "latest", "--no-lock")
    assert {path: path.stat().st_mtime_ns for path in host.repository.rglob("*")} == before
    assert (host.folder / "out" / str(host.source).lstrip("/") / "f").read_text() == "v"
    for path in (host.repository / "data").rglob("*/*"):
        path.chmod(0o600)
        path.write_bytes(b"damaged")
    ended = host.holdfast("verify", "--no-lock", code=_FAILED)
    assert "on this host only" in ended.stderr
    assert not (host.repository / "holdfast" / "damaged").exists()


def test_without_a_lock_a_living_exclusive_lock_does_not_matter(host: Host) -> None:
    from holdfast.repository.exclusive import ExclusiveLock  # noqa: PLC0415

    host.back_up("v")
    until(lambda: not host.locks())
    with open_session(host.repository, _PASSWORD.encode()) as session, ExclusiveLock(session.repository):
        host.holdfast("ls", "latest", code=11)
        host.holdfast("ls", "latest", "--no-lock")


def test_latest_is_no_older_one_when_the_newest_cannot_be_read(host: Host) -> None:
    host.back_up("old")
    newest = host.back_up("new")
    path = host.repository / "snapshots" / newest
    path.chmod(0o600)
    path.write_bytes(b"")
    out = host.folder / "out"
    words = ("restore", f"latest:{host.source}", "--target", str(out))
    for refused in (words, ("ls", "latest")):
        assert newest[:8] in host.holdfast(*refused, code=_FAILED).stderr
    assert not out.exists()
    host.holdfast(*words, "--ignore-damaged")
    assert (out / "f").read_text() == "old"
    (host.source / "f").write_text("newer")
    host.holdfast("backup", "-q", "--verify", "none", str(host.source))  # it needs no parent

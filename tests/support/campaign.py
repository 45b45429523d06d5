"""Seeded rounds of backups and restores under kills, freezes, full disks and lost databases, judged by what is left.

A round plants a tree that its seed decides, backs it up a few times (changed in between) and restores it, and each of
these commands meets a disturbance. It is then repeated, undisturbed, until it says that it has succeeded: within a few
tries, or the round cannot go on, which is a failure. At the end nothing may be lost: stock restic reads all of the
repository, and every snapshot that was acknowledged restores to exactly the tree that it was made of.

`python -m tests.support.campaign FIRST LAST` runs rounds and prints a line for each; it needs root for small disks.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import psutil

from holdfast.crypto.kdf import ScryptParameters
from holdfast.repository.repository import Repository
from holdfast.storage.local import LocalStorage
from tests.support import fork_server
from tests.support.disks import tmpfs
from tests.support.faults import leftovers, stock_restic
from tests.support.trees import itemized

PROJECT: Final = Path(__file__).parent.parent.parent
PASSWORD: Final = b"canary-password-horse"
MIB: Final = 1 << 20
_TRIES: Final = 4
_LIMIT_S: Final = 300.0
_DISK_BYTES: Final = 160 * MIB
_STATE_BYTES: Final = 64 * MIB
_FREEZE_S: Final = 5.0
_FULL_S: Final = 3.0
_LATEST_S: Final = 4.0
_LOOK_AGAIN_S: Final = 0.002


class RoundError(AssertionError):
    """Something was lost, or the round cannot go on."""


@dataclass(kw_only=True)
class Site:
    """A host in one folder; repository and state directory on small disks of their own."""

    folder: Path
    random: Random
    story: list[str] = field(default_factory=list)

    @property
    def repository(self) -> Path:
        return self.folder / "disk" / "repository"

    @property
    def state(self) -> Path:
        return self.folder / "state-disk" / "state"

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
            "HOLDFAST_STATE_DIR": str(self.state),
        }

    def prepare(self) -> None:
        """Settings, an empty repository, a first tree."""
        (self.folder / "password").write_bytes(PASSWORD)
        (self.folder / "password").chmod(0o600)
        (self.folder / "holdfast.toml").write_text(
            f'[repositories.main]\nlocation = "{self.repository}"\npassword_file = "password"\n'
            f'[sources.home]\nrepository = "main"\npaths = ["{self.source}"]\n'
            '[worker]\nprocesses = 2\ngraceful_shutdown = "1s"\n'
            'heartbeat_timeout = "3s"\nheartbeat_throttle = "1s"\n'
        )
        Repository.init(LocalStorage(self.repository), PASSWORD, kdf=ScryptParameters.for_tests())
        self.source.mkdir()
        self.change()

    def change(self) -> None:
        """Files come, change and go; some are large, some are equal."""
        random = self.random
        for path in [path for path in sorted(self.source.rglob("*")) if path.is_file()]:
            if random.random() < 0.2:
                path.unlink()
        for _ in range(random.randrange(5, 60)):
            path = (
                self.source
                / f"d{random.randrange(6)}"
                / f"e{random.randrange(3)}"
                / f"f{random.randrange(90)}"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random.randbytes(random.choice((0, 10, 5_000, 200_000))))
        if random.random() < 0.7:
            (self.source / f"large-{random.randrange(3)}").write_bytes(
                random.randbytes(random.randrange(1, 20) * MIB)
            )

    def command(self, *words: str) -> "subprocess.Popen[bytes]":
        """A command under way; what it says goes into a log."""
        with (self.folder / "commands.log").open("ab") as log:
            log.write(f"--- {time.time():.3f} {' '.join(words)}\n".encode())
            log.flush()
            return fork_server.Popen(
                [sys.executable, "-m", "holdfast.starter", *words],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command, to its end."""
        return fork_server.run(
            [sys.executable, "-m", "holdfast.starter", *words],
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=_LIMIT_S,
        )

    def ended(self, process: "subprocess.Popen[bytes]") -> int:
        """Its exit code. One that does not end at all is what no disturbance may lead to."""
        try:
            return process.wait(_LIMIT_S)
        except subprocess.TimeoutExpired:
            kill_family(process)
            raise RoundError(f"a command did not end within {_LIMIT_S:.0f} s") from None


Disturbance = Callable[[Site, "subprocess.Popen[bytes]"], None]


def family(process: "subprocess.Popen[bytes]", *, server: bool) -> list[psutil.Process]:
    """The living servers, or workers, of a command."""
    found: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if ("start-dev" in child.cmdline()) == server and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
    return found


def kill_family(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL for the command; the kernel ends its server and its workers with it."""
    others = family(process, server=True) + family(process, server=False)
    process.kill()
    process.wait()
    psutil.wait_procs(others, timeout=30)


def at_some_moment(site: Site, process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(site.random.uniform(0, _LATEST_S))


def nothing(_site: Site, _process: "subprocess.Popen[bytes]") -> None:
    """For comparison."""


def command_dies(site: Site, process: "subprocess.Popen[bytes]") -> None:
    at_some_moment(site, process)
    kill_family(process)


def _one_dies(site: Site, process: "subprocess.Popen[bytes]", *, server: bool) -> None:
    at_some_moment(site, process)
    for child in family(process, server=server)[:1]:
        with contextlib.suppress(psutil.Error):
            child.kill()


def worker_dies(site: Site, process: "subprocess.Popen[bytes]") -> None:
    _one_dies(site, process, server=False)


def server_dies(site: Site, process: "subprocess.Popen[bytes]") -> None:
    _one_dies(site, process, server=True)


def all_but_the_command_die(site: Site, process: "subprocess.Popen[bytes]") -> None:
    for server in (True, False):
        _one_dies(site, process, server=server)


def worker_freezes(site: Site, process: "subprocess.Popen[bytes]") -> None:
    """For longer than the timeout of heartbeats: another attempt has begun when it goes on."""
    at_some_moment(site, process)
    for child in family(process, server=False)[:1]:
        with contextlib.suppress(psutil.Error):
            child.suspend()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_FREEZE_S)
            child.resume()


def wal_is_lost(site: Site, process: "subprocess.Popen[bytes]") -> None:
    command_dies(site, process)
    (site.state / "temporal.db-wal").unlink(missing_ok=True)
    (site.state / "temporal.db-shm").unlink(missing_ok=True)


def wal_is_cut(site: Site, process: "subprocess.Popen[bytes]") -> None:
    command_dies(site, process)
    wal = site.state / "temporal.db-wal"
    if wal.exists():
        os.truncate(wal, site.random.randrange(wal.stat().st_size + 1))


def database_is_damaged(site: Site, process: "subprocess.Popen[bytes]") -> None:
    command_dies(site, process)
    path = site.state / "temporal.db"
    if path.exists():
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(site.random.randrange(size + 1))
            file.write(site.random.randbytes(site.random.randrange(1, 9000)))


def database_is_older(site: Site, process: "subprocess.Popen[bytes]") -> None:
    """As of before this command: a restored machine. Nothing but the server's database."""
    path = site.state / "temporal.db"
    older = site.folder / "older.db"
    command_dies(site, process)
    if older.exists():
        for name in ("-wal", "-shm"):
            path.with_name(path.name + name).unlink(missing_ok=True)
        shutil.copy(older, path)
    elif path.exists():
        shutil.copy(path, older)


def journal_is_lost(site: Site, process: "subprocess.Popen[bytes]") -> None:
    command_dies(site, process)
    for name in ("", "-wal", "-shm"):
        (site.state / f"journal.db{name}").unlink(missing_ok=True)


def first_start_dies(site: Site, process: "subprocess.Popen[bytes]") -> None:
    """While the server makes its schema: the state directory is new."""
    kill_family(process)
    requests = site.state / "requests"
    for path in sorted(site.state.iterdir()) if site.state.exists() else []:
        if path != requests:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = site.command("backup", "home")
    while again.poll() is None and not (site.state / "temporal.db").exists():
        time.sleep(_LOOK_AGAIN_S)
    time.sleep(site.random.uniform(0, 0.12))
    kill_family(again)


def _disk_fills(site: Site, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    at_some_moment(site, process)
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(MIB // 4))
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_FULL_S)
    ballast.unlink()


def repository_fills(site: Site, process: "subprocess.Popen[bytes]") -> None:
    _disk_fills(site, process, site.repository.parent)


def state_fills(site: Site, process: "subprocess.Popen[bytes]") -> None:
    _disk_fills(site, process, site.state.parent)


def state_is_gone(site: Site, process: "subprocess.Popen[bytes]") -> None:
    """Removed under the feet of all that use it."""
    at_some_moment(site, process)
    shutil.rmtree(site.state, ignore_errors=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_FULL_S)
    kill_family(process)


DISTURBANCES: Final[tuple[Disturbance, ...]] = (
    nothing,
    command_dies,
    worker_dies,
    server_dies,
    all_but_the_command_die,
    worker_freezes,
    wal_is_lost,
    wal_is_cut,
    database_is_damaged,
    database_is_older,
    journal_is_lost,
    first_start_dies,
    repository_fills,
    state_fills,
    state_is_gone,
)


def carry_out(site: Site, *words: str) -> None:
    """A command, disturbed, and repeated until it says that it has succeeded."""
    disturbance = site.random.choice(DISTURBANCES)
    process = site.command(*words)
    disturbance(site, process)
    code = site.ended(process)
    site.story.append(f"{words[0]}/{disturbance.__name__}:{code}")
    for _ in range(_TRIES):
        if code == 0:
            return
        code = site.ended(site.command(*words))
        site.story[-1] += f",{code}"
    raise RoundError(f"{words[0]} does not come to an end after {disturbance.__name__}")


def snapshots(site: Site) -> list[str]:
    """Ids, oldest first."""
    listed = json.loads(stock_restic(site.repository, "snapshots", "--json", password=PASSWORD))
    return [snapshot["id"] for snapshot in sorted(listed, key=lambda snapshot: snapshot["time"])]


def run_round(folder: Path, seed: int) -> list[str]:
    """One round; what happened in it. Raises RoundError, or AssertionError where restic finds an error."""
    site = Site(folder=folder, random=Random(seed))
    with (
        tmpfs(folder / "disk", f"size={_DISK_BYTES}"),
        tmpfs(folder / "state-disk", f"size={_STATE_BYTES}"),
    ):
        try:
            _round(site)
        except AssertionError as error:
            error.add_note(f"seed {seed}: {' '.join(site.story)}")
            error.add_note((folder / "commands.log").read_text(errors="replace")[-6000:])
            raise
    return site.story


def _round(site: Site) -> None:
    site.prepare()
    acknowledged: dict[str, Path] = {}
    kept = site.source
    for number in range(site.random.randrange(1, 3)):
        if number:
            site.change()
        carry_out(site, "backup", "home")
        kept = site.folder / f"kept-{number}"
        subprocess.run(["cp", "-a", str(site.source), str(kept)], check=True)
        acknowledged[snapshots(site)[-1]] = kept
    target = site.folder / "target"
    carry_out(site, "restore", f"latest:{site.source}", "--target", str(target), "--verify")
    _compare(kept, target, "what was restored")
    if leftovers(target):
        raise RoundError(f"temporary files are left in the target: {leftovers(target)[:3]}")
    if "no errors were found" not in stock_restic(site.repository, "check", "--read-data", password=PASSWORD):
        raise RoundError("restic finds errors")
    for number, (snapshot, kept) in enumerate(acknowledged.items()):
        there = site.folder / f"restored-{number}"
        stock_restic(site.repository, "restore", snapshot, "--target", str(there), password=PASSWORD)
        _compare(kept, there / site.source.relative_to("/"), f"snapshot {snapshot[:8]}")


def _compare(left: Path, right: Path, what: str) -> None:
    differences = [line for line in itemized(left, right) if not line.endswith(" ./")]
    if differences:
        raise RoundError(f"{what} differs: {differences[:5]}")


@contextlib.contextmanager
def _place(seed: int) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"campaign-{seed}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run rounds, a line for each; the exit code says whether all went well."""
    parser = argparse.ArgumentParser(description="Rounds of backups and restores under faults.")
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    options = parser.parse_args()
    failed = 0
    for seed in range(options.first, options.last + 1):
        begun = time.monotonic()
        with _place(seed) as folder:
            try:
                told = f"ok {' '.join(run_round(folder, seed))}"
            except Exception:  # noqa: BLE001 - the next round is to run, whatever this one found
                failed += 1
                told = f"FAILED {traceback.format_exc()}"
        _tell(f"{seed} {told} ({time.monotonic() - begun:.0f} s)")
    _tell(f"{options.last + 1 - options.first} rounds, {failed} failed")
    return 1 if failed else 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())

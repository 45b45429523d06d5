"""Two PID namespaces with one host name back up beside stock restic's backup, forget, prune and unlock; row 25.

In each namespace the processes of the other one cannot be seen, so `restic unlock` takes living locks of ours for dead
ones and removes them, and then prunes under running backups. Workers are frozen at random as well. Whatever happens:
what was acknowledged and not forgotten restores, and `restic check --read-data` is clean.

HOLDFAST_NAMESPACES_S: for how many seconds (60). HOLDFAST_SEED: of all that is random.
"""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.support.counting import PROJECT

_SECONDS: Final = float(os.environ.get("HOLDFAST_NAMESPACES_S", "60"))
_SEED: Final = int(os.environ.get("HOLDFAST_SEED", "1"))
_APART: Final = ("unshare", "--pid", "--fork", "--mount-proc")
_PASSWORD: Final = "pw"
_COMPLETE, _LOCKED = 0, 11
_LIMIT_S: Final = 900.0

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(3 * _SECONDS + 1200),
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of processes are made by root"),
]


class Trial:
    """The repository, what was acknowledged in it, and what was forgotten."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "repository"
        self.counts: Counter[str] = Counter()
        self.acknowledged: dict[str, dict[str, str]] = {}
        self.short: dict[str, dict[str, str]] = {}
        """By the beginnings of ids, which are all that restic 0.14 tells of its own."""
        self.forgotten: set[str] = set()
        self.trouble: list[str] = []
        self.stop_at = time.monotonic() + _SECONDS
        self.backups: set[int] = set()
        self.died: list[str] = []
        """What ended an actor before its time."""
        self._lock = threading.Lock()

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.stop_at

    def environment(self, who: str) -> dict[str, str]:
        home = self.folder / who
        home.mkdir(exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "HOLDFAST_STATE_DIR": str(home / "state"),
            "RESTIC_REPOSITORY": str(self.repository),
            "RESTIC_PASSWORD": _PASSWORD,
        }

    def run(self, who: str, *command: str, note: bool = False) -> subprocess.CompletedProcess[str]:
        """A command in a namespace of its own. note: where to find its workers."""
        process = subprocess.Popen(
            [*_APART, *command],
            env=self.environment(who),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        if note:
            self.backups.add(process.pid)
        try:
            out, err = process.communicate(timeout=_LIMIT_S)
        finally:
            self.backups.discard(process.pid)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def count(self, what: str, text: str = "") -> None:
        with self._lock:
            self.counts[what] += 1
            if text:
                self.trouble.append(f"{what}: {text[-1500:]}")


def change(source: Path, dice: random.Random) -> dict[str, str]:
    """Change some of the files; what there is now, as hashes by path."""
    source.mkdir(exist_ok=True)
    for _ in range(dice.randint(1, 12)):
        path = source / f"file-{dice.randrange(40)}"
        if path.exists() and dice.random() < 0.3:
            path.unlink()
        else:
            path.write_bytes(dice.randbytes(dice.choice((10, 5_000, 300_000, 3_000_000))))
    return contents(source)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def holdfast(trial: Trial, who: str, dice: random.Random) -> None:
    source = trial.folder / f"source-{who}"
    while trial.goes_on:
        expected = change(source, dice)
        ended = trial.run(
            who,
            sys.executable,
            "-m",
            "holdfast.starter",
            "backup",
            "--json",
            "--verify",
            "none",
            str(source),
            note=True,
        )
        if ended.returncode == _COMPLETE:
            last = [json.loads(line) for line in ended.stdout.splitlines() if "snapshot_id" in line][-1]
            trial.acknowledged[last["snapshot_id"]] = expected
            trial.count("our backups")
        elif ended.returncode == _LOCKED:
            trial.count("our backups refused, because somebody had the exclusive lock")
        else:
            trial.count(f"our backups that ended with {ended.returncode}", ended.stdout + ended.stderr)


def restic(trial: Trial, dice: random.Random) -> None:
    source = trial.folder / "source-restic"
    while trial.goes_on:
        verb = dice.choices(("backup", "forget", "prune", "unlock"), (4, 3, 2, 4))[0]
        expected: dict[str, str] = {}
        command = ["restic", "--no-cache", "--json", verb]
        if verb == "backup":
            expected = change(source, dice)
            command.append(str(source))
        elif verb == "forget":
            command += ["--keep-last", str(dice.randint(1, 4)), "--prune", "--max-unused", "0"]
        elif verb == "prune":
            command += ["--max-unused", "0"]
        ended = trial.run("restic", *command)
        trial.count(f"restic {verb}" + ("" if ended.returncode == 0 else " refused"))
        if verb == "backup" and ended.returncode == 0:
            last = json.loads(ended.stdout.splitlines()[-1])
            trial.short[last["snapshot_id"]] = expected
        for line in ended.stdout.splitlines() if verb == "forget" else ():
            if line.startswith("[{"):  # and not the progress of its prune
                for group in json.loads(line):
                    trial.forgotten |= {gone["id"] for gone in group["remove"] or ()}
        if ended.returncode not in (0, 1):
            trial.count(f"restic {verb} ended with {ended.returncode}", ended.stderr)
        time.sleep(dice.random())


def freezing(trial: Trial, dice: random.Random) -> None:
    while trial.goes_on:
        report(trial)
        time.sleep(dice.random())
        workers = [pid for pid in descendants(trial.backups) if b"worker.py" in command_of(pid)]
        if not workers:
            continue
        pid = dice.choice(workers)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(dice.choice((0.2, 1.0, 6.0)))
            os.kill(pid, signal.SIGCONT)
            trial.count("freezes")


def descendants(roots: set[int]) -> list[int]:
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            parents[int(folder.name)] = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
    found: list[int] = []
    wanted = set(roots)
    while wanted:
        below = {pid for pid, parent in parents.items() if parent in wanted}
        found += below
        wanted = below
    return found


def command_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def test_what_is_acknowledged_stays_whole(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    begun = trial.run("one", sys.executable, "-m", "holdfast.starter", "init")
    assert begun.returncode == 0, begun.stderr
    seeds = random.Random(_SEED)
    dice = [random.Random(seeds.random()) for _ in range(4)]
    acts: list[Callable[[], None]] = [
        lambda: holdfast(trial, "one", dice[0]),
        lambda: holdfast(trial, "two", dice[1]),
        lambda: restic(trial, dice[2]),
        lambda: freezing(trial, dice[3]),
    ]
    actors = [threading.Thread(target=acting, args=(trial, act)) for act in acts]
    for actor in actors:
        actor.start()
    for actor in actors:
        actor.join()
    assert not trial.died, trial.died
    sys.stderr.write(report(trial))
    trial.run("restic", "restic", "--no-cache", "unlock")
    checked = trial.run("restic", "restic", "--no-cache", "check", "--read-data")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    listed = {
        one["id"]
        for one in json.loads(trial.run("restic", "restic", "--no-cache", "snapshots", "--json").stdout)
    }
    for beginning, files in trial.short.items():
        trial.acknowledged |= {
            name: files for name in {*listed, *trial.forgotten} if name.startswith(beginning)
        }
    kept = {name: files for name, files in trial.acknowledged.items() if name not in trial.forgotten}
    assert kept.keys() <= listed
    assert kept
    for name, expected in kept.items():
        target = tmp_path / "restored" / name
        ended = trial.run("restic", "restic", "--no-cache", "restore", name, "--target", str(target))
        assert ended.returncode == 0, ended.stderr
        (source,) = [path for path in target.rglob("source-*") if path.is_dir()]
        assert contents(source) == expected
    assert trial.counts["our backups"] >= 2
    unexpected = [line for line in trial.trouble if line]
    assert not unexpected, unexpected[:3]


def acting(trial: Trial, act: Callable[[], None]) -> None:
    try:
        act()
    except BaseException:
        trial.died.append(traceback.format_exc())
        raise


def report(trial: Trial) -> str:
    """For a person: what has taken place, in a file too."""
    lines = [f"{count} {what}" for what, count in sorted(trial.counts.items())]
    lines.append(
        f"{len(trial.acknowledged) + len(trial.short)} acknowledged, {len(trial.forgotten)} forgotten, seed {_SEED}"
    )
    (trial.folder / "report.txt").write_text("\n".join([*lines, *trial.trouble]), encoding="utf-8")
    return "\n".join(["", *lines, ""])

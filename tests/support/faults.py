"""Faults put into the engine's process by strace, and the looks at what they leave behind.

strace counts the calls of each thread for itself: "the Nth fsync" is that of whichever thread gets there first.
A process that is killed on entering a call dies before the call does anything.
"""

import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.engine import PASSWORD
from tests.support.engine_process import RUN_ID

PROJECT: Final = Path(__file__).parent.parent.parent
KILL: Final = "signal=KILL"
_LIMIT_S: Final = 600  # the end of a hang: below strace, on a busy machine, a prune has taken more than 120
_HASHED_FOLDERS: Final = ("data", "index", "snapshots", "keys")
_OURS: Final = b".holdfast-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """`what` (strace's words: "signal=KILL", "error=EIO", …) happens at the calls `when` ("3", "3+") of `call`."""

    call: str
    what: str
    when: str = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process of the engine ended. answer: what it printed (engine_process.py), empty when it was killed."""

    answer: dict[str, object]
    killed: bool
    fired: bool
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One folder with a source, a repository, a restore target (not there yet) and strace's log."""

    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def target(self) -> Path:
        return self.folder / "target"

    @property
    def log(self) -> Path:
        return self.folder / "strace.log"

    def reset(self, template: "Place", *, to: str) -> None:
        """The repository as it was, and no target."""
        shutil.rmtree(self.target, ignore_errors=True)
        (self.folder / f"{RUN_ID}-is-closing").unlink(missing_ok=True)
        shutil.rmtree(self.repository, ignore_errors=True)
        shutil.copytree(template.folder / to, self.repository)


def engine(*arguments: str | Path, wrapper: Sequence[str] = ()) -> Ended:
    """Run `engine_process.py` to its end, below a wrapping command where one is given."""
    command = [*wrapper, sys.executable, "-m", "tests.support.engine_process", *map(str, arguments)]
    ended = subprocess.run(
        command,
        check=False,
        capture_output=True,
        cwd=PROJECT,
        env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONDONTWRITEBYTECODE": "1"},
        text=True,
        timeout=_LIMIT_S,
    )
    killed = ended.returncode < 0
    if not killed:
        assert ended.returncode == 0, ended.stderr
    return Ended(answer=json.loads(ended.stdout or "{}"), killed=killed, fired=False, stderr=ended.stderr)


def faulty_engine(*arguments: str | Path, log: Path, faults: Sequence[Injection]) -> Ended:
    """The same with faults armed; whether any of them fired is in the answer."""
    wrapper = ["strace", "-f", "-qq", "-o", str(log)]  # --seccomp-bpf would be faster, and injects nothing
    wrapper += ["-e", "trace=" + ",".join(fault.call for fault in faults)]
    for fault in faults:
        wrapper += ["-e", f"inject={fault.call}:{fault.what}:when={fault.when}"]
    ended = engine(*arguments, wrapper=wrapper)
    seen = log.read_text(errors="replace")
    fired = "(INJECTED)" in seen or "killed by SIGKILL" in seen
    return Ended(answer=ended.answer, killed=ended.killed, fired=fired, stderr=ended.stderr)


def misnamed(repository: Path) -> list[str]:
    """Files of a repository whose names promise other bytes than they have: torn, or forged."""
    return [
        path.name
        for folder in _HASHED_FOLDERS
        for path in (repository / folder).rglob("*")
        if path.is_file()
        and not path.name.startswith(os.fsdecode(_OURS))
        and hashlib.sha256(path.read_bytes()).hexdigest() != path.name
    ]


def torn(source: Path, target: Path) -> list[str]:
    """Files under final names in `target` that are not, byte for byte, what `source` has there."""
    return [
        name
        for name, path in files_of(target)
        if not (source / name).is_file() or path.read_bytes() != (source / name).read_bytes()
    ]


def leftovers(folder: Path) -> list[str]:
    """Temporary files of ours below a folder."""
    return [path.name for path in folder.rglob(os.fsdecode(_OURS) + "*")] if folder.exists() else []


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Relative name and path of each regular file that has its final name."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and not os.fsencode(path.name).startswith(_OURS):
            yield str(path.relative_to(folder)), path


def stock_restic(repository: Path, *arguments: str, password: bytes = PASSWORD) -> str:
    """What stock restic prints; it must succeed. The locks of killed processes are left alone."""
    command = ["restic", "--no-cache", "--no-lock", "-r", str(repository), *arguments]
    environment = {
        "RESTIC_PASSWORD": os.fsdecode(password),
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
    }
    ended = subprocess.run(command, check=False, capture_output=True, env=environment, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def assert_sound(repository: Path, *, snapshots: int, password: bytes = PASSWORD) -> None:
    """This many snapshots, and restic reads everything without finding an error."""
    listed = json.loads(stock_restic(repository, "snapshots", "--json", password=password))
    assert len(listed) == snapshots, listed
    assert "no errors were found" in stock_restic(repository, "check", "--read-data", password=password)


def fired_steps(outcomes: Iterator[bool]) -> int:
    """Take steps until there is no such step any more; how many there were."""
    return sum(itertools.takewhile(bool, outcomes))

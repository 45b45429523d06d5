"""The scenario: back up, kill a worker and then the server meanwhile, restore, compare, let restic check.

What is counted comes from the commands' own `--json` summaries; what is compared, from the disk.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import psutil

from demo.command import CommandFailedError, Holdfast, Message, RunningCommand
from demo.compare import Comparison
from demo.data import MIB, write_large_file
from demo.place import Place
from demo.screen import Bar, Screen, size
from demo.victims import Reader, ReaderWatch, kill, server, workers

_INSIDE_BYTES: Final = 160 * MIB
"""How far inside the large file a worker is to be when it is killed: past a checkpoint, and short of the next."""
_BACK_LIMIT_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.01
_SETTINGS: Final = """\
# A dead worker is noticed sooner than by default (20 s), so that the demonstration stays short.
[worker]
heartbeat_timeout = "5s"
heartbeat_throttle = "1s"
"""
_FoundT = TypeVar("_FoundT")


class DemoError(Exception):
    """The demonstration cannot go on, or has seen something that must not be."""


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What the summary is made of."""

    seconds: dict[str, float] = field(default_factory=dict)
    backup: Message = field(default_factory=Message)
    restore: Message = field(default_factory=Message)
    comparison: Comparison = field(default_factory=Comparison)
    stored_bytes: int = 0
    restic: str = ""
    url: str = ""

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note how long something takes."""
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began


class Scenario:
    """One performance in a work directory of its own."""

    def __init__(self, screen: Screen, *, work: Path, tree: Path, large_mib: int, place: Place) -> None:
        self._screen = screen
        self._work = work
        self._tree = tree
        self._large_mib = large_mib
        self._source = work / "source"
        self._large = self._source / "large-file"
        self._target = work / "restored"
        self._place = place
        self._password_file = work / "password"
        self._holdfast = Holdfast(
            settings=work / "holdfast.toml",
            state=work / "state",
            location=place.location,
            password_file=self._password_file,
            environ=place.environ,
        )
        self._seen = _Seen()

    def play(self) -> None:
        """All steps.

        Raises:
            DemoError: something failed, or differs.
        """
        self._make_ready()
        try:
            self._back_up()
            self._restore()
        except CommandFailedError as error:
            raise DemoError(str(error)) from error
        self._compare()
        self._check_with_restic()
        self._screen.summary(_rows(self._seen))
        self._screen.tell(f"Web UI, while a command or `holdfast up` runs: {self._seen.url}")

    def _make_ready(self) -> None:
        self._screen.step(f"A tree to back up: {self._tree}, and a generated file")
        needed = (self._large_mib * MIB + _tree_bytes(self._tree)) * 3
        free = shutil.disk_usage(self._work).free
        if free < needed:
            raise DemoError(f"{self._work} has {size(free)} of free space; {size(needed)} are needed")
        self._source.mkdir()
        write_large_file(self._large, self._large_mib)
        self._screen.tell(f"{self._large.name}: {size(self._large.stat().st_size)}")
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_hex(16))
        self._holdfast.settings.write_text(_SETTINGS)

    def _back_up(self) -> None:
        where = self._place.location if self._place.environ else "here"
        self._screen.step(f"A repository in restic's format, {where}", "holdfast init")
        self._holdfast.run("init")
        self._screen.step(
            "A backup, through a Temporal server and workers that the command brings along",
            f"holdfast backup {self._tree} {self._source.name}",
        )
        with (
            self._seen.timed("backup"),
            self._running("backup", str(self._tree), str(self._source)) as command,
            self._screen.bar("backup") as bar,
        ):
            self._kill_worker(command, bar)
            self._kill_server(command, bar)
            self._seen.backup = command.finish(bar.show)
            bar.finish()
        self._seen.stored_bytes = self._place.stored_bytes()
        snapshots = [snapshot.id for snapshot in self._holdfast.snapshots()]
        if snapshots != [self._seen.backup.snapshot_id]:
            raise DemoError(f"one snapshot should be there, not {len(snapshots)}")
        self._screen.tell(f"one snapshot, {snapshots[0][:8]}, {self._seen.backup.status}")

    def _kill_worker(self, command: RunningCommand, bar: Bar) -> None:
        reader = self._inside_large_file(command, bar)
        known = {process.pid for process in workers(command.children())}
        kill(reader.process)
        began = time.monotonic()
        self._screen.killed(
            f"worker {reader.process.pid}, {size(reader.read_bytes)} inside {self._large.name}"
        )
        fresh = self._wait_for(
            command, bar, "another worker", lambda: _others(workers(command.children()), known)
        )
        self._screen.tell(f"worker {fresh.pid} takes its place after {time.monotonic() - began:.1f} s")

    def _kill_server(self, command: RunningCommand, bar: Bar) -> None:
        self._inside_large_file(command, bar)
        found = self._wait_for(command, bar, "the server", lambda: server(command.children()))
        kill(found)
        began = time.monotonic()
        self._screen.killed(f"Temporal server {found.pid}")
        fresh = self._wait_for(
            command, bar, "the server's return", lambda: _other(server(command.children()), found.pid)
        )
        self._screen.tell(
            f"server {fresh.pid} goes on from its database after {time.monotonic() - began:.1f} s"
        )

    def _inside_large_file(self, command: RunningCommand, bar: Bar) -> Reader:
        watch = ReaderWatch(self._large)

        def look() -> Reader | None:
            reader = watch.farthest(workers(command.children()))
            return reader if reader is not None and reader.read_bytes >= _INSIDE_BYTES else None

        return self._wait_for(command, bar, f"a worker inside {self._large.name}", look, limit_s=None)

    def _wait_for(
        self,
        command: RunningCommand,
        bar: Bar,
        what: str,
        look: Callable[[], _FoundT | None],
        *,
        limit_s: float | None = _BACK_LIMIT_S,
    ) -> _FoundT:
        """Look again and again until something is there.

        Raises:
            DemoError: the command ended before, or it takes too long.
        """
        began = time.monotonic()
        while command.is_running() and (limit_s is None or time.monotonic() - began < limit_s):
            found = look()
            if found is not None:
                return found
            self._show(command, bar)
            time.sleep(_LOOK_EVERY_S)
        raise DemoError(f"{what} was not seen before the command ended, or in {_BACK_LIMIT_S:.0f} s")

    def _show(self, command: RunningCommand, bar: Bar) -> None:
        bar.show(command)
        if command.url and not self._seen.url:
            self._seen.url = command.url
            self._screen.tell(f"in the Web UI, as long as this runs: {command.url}")

    def _restore(self) -> None:
        self._screen.step("Everything back", f"holdfast restore latest --target {self._target.name}")
        with (
            self._seen.timed("restore"),
            self._running("restore", "latest", "--target", str(self._target)) as command,
            self._screen.bar("restore") as bar,
        ):
            self._seen.restore = command.finish(bar.show)
            bar.finish()
        self._screen.tell(f"{self._seen.restore.files_restored:,} files, {self._seen.restore.status}")

    @contextlib.contextmanager
    def _running(self, *arguments: str) -> Iterator[RunningCommand]:
        command = self._holdfast.start(*arguments)
        try:
            yield command
        finally:
            command.stop()

    def _compare(self) -> None:
        self._screen.step("Source and restored tree, entry by entry, byte by byte")
        comparison = self._seen.comparison
        with self._seen.timed("comparison"):
            for root in (self._tree, self._source):
                comparison.compare(root, self._target / root.relative_to("/"))
        if comparison.differences:
            shown = "\n".join(comparison.differences[:10])
            raise DemoError(f"{len(comparison.differences)} differences, the first of them:\n{shown}")
        self._screen.tell(f"{comparison.entries:,} entries, {size(comparison.bytes_compared)}: identical")

    def _check_with_restic(self) -> None:
        program = shutil.which("restic")
        if program is None:
            self._seen.restic = "not installed (Debian: apt-get install restic), left out"
            self._screen.step(
                "restic is not installed, so its check is left out (Debian: apt-get install restic)"
            )
            return
        self._screen.step("Stock restic reads all of it", "restic check --read-data")
        with self._seen.timed("restic check"):
            ended = subprocess.run(
                [program, "--no-cache", "-r", self._place.location, "check", "--read-data"],
                env={**os.environ, **self._place.environ, "RESTIC_PASSWORD_FILE": str(self._password_file)},
                capture_output=True,
                text=True,
                check=False,
            )
        if ended.returncode:
            raise DemoError(f"restic found errors:\n{ended.stdout}{ended.stderr}")
        self._seen.restic = ended.stdout.strip().splitlines()[-1]
        self._screen.tell(self._seen.restic)


def _others(processes: list[psutil.Process], known: set[int]) -> psutil.Process | None:
    return next((process for process in processes if process.pid not in known), None)


def _other(process: psutil.Process | None, pid: int) -> psutil.Process | None:
    return process if process is not None and process.pid != pid else None


def _tree_bytes(root: Path) -> int:
    return sum((Path(folder) / name).lstat().st_size for folder, _, names in os.walk(root) for name in names)


def _rows(seen: _Seen) -> list[tuple[str, str]]:
    backup = seen.backup
    reread = f"{size(backup.bytes_reread)} of {size(backup.bytes_read)}"
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in seen.seconds.items())
    rows = [
        ("Time", times),
        ("Backed up", f"{backup.total_files_processed:,} files, {size(backup.total_bytes_processed)}"),
        (
            "New data",
            f"{size(backup.data_added)} after deduplication, {size(backup.data_added_packed)} packed",
        ),
        ("Repository", f"{size(seen.stored_bytes)} stored"),
        (
            "After the kills",
            f"shards that went on from a checkpoint: {backup.checkpoints_resumed}; read twice: {reread}",
        ),
        ("Restored", f"{seen.restore.files_restored:,} files, {size(seen.restore.bytes_restored)}"),
        ("Compared", f"{seen.comparison.entries:,} entries, all identical"),
        ("restic", seen.restic),
    ]
    if backup.error_count:
        rows.insert(2, ("Unreadable", f"{backup.error_count:,} entries; the snapshot is marked partial"))
    return rows

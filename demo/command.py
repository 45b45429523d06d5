"""The `holdfast` command as a person would type it, with `--json` where numbers are needed."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import psutil

PARTIAL: Final = 3


class CommandFailedError(Exception):
    """The command ended with an error."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot, as `snapshots --json` lists it."""

    id: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `--json`: restic's fields, and ours. Which of them count depends on the type."""

    message_type: str = ""
    percent_done: float = 0.0
    bytes_done: int = 0
    total_bytes: int = 0
    files_done: int = 0
    total_files: int = 0
    snapshot_id: str = ""
    run_id: str = ""
    status: str = ""
    url: str = ""
    message: str = ""
    total_files_processed: int = 0
    total_bytes_processed: int = 0
    data_added: int = 0
    data_added_packed: int = 0
    bytes_read: int = 0
    bytes_reread: int = 0
    checkpoints_resumed: int = 0
    files_restored: int = 0
    bytes_restored: int = 0
    error_count: int = 0


@dataclass(slots=True)
class RunningCommand:
    """A command under way: its newest status, and the processes below it."""

    process: "subprocess.Popen[bytes]"
    newest: Message = field(default_factory=Message)
    summary: Message | None = None
    url: str = ""
    _reader: threading.Thread | None = None

    def listen(self) -> None:
        """Read its messages from now on, in a thread."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def children(self) -> list[psutil.Process]:
        """All processes below it."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def finish(self, watch: Callable[["RunningCommand"], None]) -> Message:
        """Wait for its end, calling `watch` ten times a second; the summary.

        Raises:
            CommandFailedError: it failed, or printed no summary.
        """
        while self.is_running():
            watch(self)
            try:
                self.process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        if self._reader is not None:
            self._reader.join()
        if self.process.returncode not in {0, PARTIAL} or self.summary is None:
            raise CommandFailedError(f"holdfast ended with exit code {self.process.returncode}")
        return self.summary

    def stop(self) -> None:
        """End it, if it runs."""
        if self.is_running():
            self.process.terminate()
            self.process.wait()

    def _read(self) -> None:
        if self.process.stdout is None:
            return
        for line in self.process.stdout:
            try:
                message = msgspec.json.decode(line, type=Message)
            except msgspec.DecodeError:
                continue
            if message.message_type == "status":
                self.newest = message
            elif message.message_type == "link":
                self.url = message.url
            elif message.message_type == "summary":
                self.summary = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdfast:
    """How the command is called: where its settings and state lie, for which place; environ: its credentials."""

    settings: Path
    state: Path
    location: str
    password_file: Path
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def run(self, *arguments: str) -> bytes:
        """Run a short command to its end; what it printed.

        Raises:
            CommandFailedError: it failed; what it said is in the message.
        """
        ended = subprocess.run(
            [*self._command(), *arguments],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if ended.returncode:
            raise CommandFailedError(ended.stderr.decode(errors="replace").strip())
        return ended.stdout

    def snapshots(self) -> list[Snapshot]:
        """The snapshots of the repository."""
        return msgspec.json.decode(self.run("--json", "snapshots"), type=list[Snapshot])

    def start(self, *arguments: str) -> RunningCommand:
        """Start a command whose messages are listened to; what it says to people goes to the terminal."""
        process = subprocess.Popen(
            [*self._command(), "--json", *arguments],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        running = RunningCommand(process)
        running.listen()
        return running

    def _command(self) -> list[str]:
        program = Path(sys.executable).parent / "holdfast"
        return [str(program), "--repo", self.location, "--password-file", str(self.password_file)]

    def _environment(self) -> Mapping[str, str]:
        own = {"HOLDFAST_CONFIG": str(self.settings), "HOLDFAST_STATE_DIR": str(self.state)}
        return {**os.environ, **own, **self.environ}

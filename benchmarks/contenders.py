"""What is compared: one class with the three verbs, and the peers that are commands.

All use zstd at level 3 or what they call their default at that strength, encrypt, and keep their caches at their
defaults. A program that is not on PATH is left out, with a word.
"""

import os
import shutil
import subprocess
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from benchmarks.measure import Measured, RunFailedError, run_command
from benchmarks.places import Homes, size_of

PASSWORD: Final = "benchmark"  # noqa: S105 (of repositories that live for minutes)


class Verb(StrEnum):
    """What a contender is asked to do."""

    BACKUP = "backup"
    RESTORE = "restore"
    VERIFY = "verify"


class Contender(ABC):
    """One way to back up. Everything it does is done with the home behind `homes.link`.

    timed: the verbs that it is measured with.
    """

    name: str
    timed: frozenset[Verb] = frozenset(Verb)

    def __init__(self, folder: Path) -> None:
        self.folder = folder / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.homes = Homes(self.folder)
        self.log = self.folder / "log"
        self.password_file = self.folder / "password"
        self.password_file.write_text(PASSWORD)

    @abstractmethod
    def version(self) -> str:
        """As it says itself."""

    @abstractmethod
    def init(self) -> None:
        """Create the repository."""

    @abstractmethod
    def run(self, verb: Verb, path: Path, *, watch: bool) -> Measured:
        """Back up the tree `path`, restore the newest snapshot to `path`, or read and check everything stored.

        Raises:
            RunFailedError: it did not work.
        """

    def settle(self) -> None:  # noqa: B027 (most have nothing to wait for)
        """Wait until nothing of the last run is left that a change of the home could disturb."""

    def close(self) -> None:  # noqa: B027 (most have nothing there)
        """End what runs in the background."""

    def stored_bytes(self) -> int:
        """What the repository takes."""
        return size_of(self.homes.repository)


class CommandContender(Contender):
    """A command for each verb."""

    @abstractmethod
    def command(self, verb: Verb, path: Path) -> list[str]:
        """The command of a verb."""

    @abstractmethod
    def variables(self) -> Mapping[str, str]:
        """Its settings."""

    def environment(self) -> dict[str, str]:
        """What its commands get to see."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**kept, "LC_ALL": "C.UTF-8", **self.variables()}

    def working_directory(self, verb: Verb, path: Path) -> Path:
        """Where the command of a verb is started."""
        del verb, path
        return self.folder

    def run(self, verb: Verb, path: Path, *, watch: bool) -> Measured:
        """See the base class."""
        return run_command(
            self.command(verb, path),
            environment=self.environment(),
            cwd=self.working_directory(verb, path),
            log=self.log,
            watch=watch,
        )

    def ask(self, *command: str) -> str:
        """What a short command answers.

        Raises:
            RunFailedError: it failed.
        """
        done = subprocess.run(
            command, env=self.environment(), cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RunFailedError(f"{' '.join(command[:2])}: {done.stderr.strip()}")
        return done.stdout.strip()


class Restic(CommandContender):
    """The measure of all."""

    name = "restic"

    def version(self) -> str:
        """See the base class."""
        return " ".join(self.ask("restic", "version").split()[:2])

    def init(self) -> None:
        """See the base class."""
        self.ask("restic", "init")

    def variables(self) -> Mapping[str, str]:
        """See the base class."""
        return {
            "RESTIC_REPOSITORY": str(self.homes.repository),
            "RESTIC_PASSWORD_FILE": str(self.password_file),
            "RESTIC_CACHE_DIR": str(self.homes.cache),
        }

    def command(self, verb: Verb, path: Path) -> list[str]:
        """See the base class."""
        return {
            Verb.BACKUP: ["restic", "backup", "--quiet", str(path)],
            Verb.RESTORE: ["restic", "restore", "latest", "--quiet", "--target", str(path)],
            Verb.VERIFY: ["restic", "check", "--read-data", "--quiet"],
        }[verb]


class ResticFlushed(Restic):
    """restic, whose restores last until their files are on the disk: what Holdfast's do before it names a file."""

    name = "restic-flushed"
    timed = frozenset((Verb.RESTORE,))

    def command(self, verb: Verb, path: Path) -> list[str]:
        """See the base class."""
        command = super().command(verb, path)
        if verb is not Verb.RESTORE:
            return command
        return ["sh", "-c", 'target="$1"; shift; "$@" && sync -f "$target"', "sh", str(path), *command]


class Borg(CommandContender):
    """Borg 1."""

    name = "borg"

    def version(self) -> str:
        """See the base class."""
        return self.ask("borg", "--version")

    def init(self) -> None:
        """See the base class."""
        self.ask("borg", "init", "--encryption", "repokey")

    def variables(self) -> Mapping[str, str]:
        """See the base class."""
        return {
            "BORG_REPO": str(self.homes.repository),
            "BORG_PASSCOMMAND": f"cat {self.password_file}",
            "BORG_BASE_DIR": str(self.homes.cache),
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }

    def command(self, verb: Verb, path: Path) -> list[str]:
        """See the base class."""
        if verb is Verb.BACKUP:
            return ["borg", "create", "--compression", "zstd,3", f"::{uuid.uuid4()}", str(path)]
        if verb is Verb.RESTORE:
            return ["borg", "extract", f"::{self.ask('borg', 'list', '--short', '--last', '1')}"]
        return ["borg", "check", "--verify-data"]

    def working_directory(self, verb: Verb, path: Path) -> Path:
        """Borg extracts to where it is."""
        return path if verb is Verb.RESTORE else self.folder


class Rustic(CommandContender):
    """restic's format in Rust."""

    name = "rustic"

    def version(self) -> str:
        """See the base class."""
        return self.ask("rustic", "--version")

    def init(self) -> None:
        """See the base class."""
        self.ask("rustic", "init")

    def variables(self) -> Mapping[str, str]:
        """See the base class."""
        return {
            "RUSTIC_REPOSITORY": str(self.homes.repository),
            "RUSTIC_PASSWORD_FILE": str(self.password_file),
            "RUSTIC_CACHE_DIR": str(self.homes.cache),
            "RUSTIC_NO_PROGRESS": "true",
        }

    def command(self, verb: Verb, path: Path) -> list[str]:
        """See the base class."""
        return {
            Verb.BACKUP: ["rustic", "backup", str(path)],
            Verb.RESTORE: ["rustic", "restore", "latest", str(path)],
            Verb.VERIFY: ["rustic", "check", "--read-data"],
        }[verb]


class Kopia(CommandContender):
    """Kopia, with its configuration and cache in the home."""

    name = "kopia"

    def version(self) -> str:
        """See the base class."""
        return f"kopia {self.ask('kopia', '--version').split()[0]}"

    def init(self) -> None:
        """See the base class."""
        self.ask("kopia", "repository", "create", "filesystem", "--path", str(self.homes.repository))
        self.ask("kopia", "policy", "set", "--global", "--compression", "zstd")

    def variables(self) -> Mapping[str, str]:
        """See the base class."""
        return {
            "KOPIA_CONFIG_PATH": str(self.homes.cache / "kopia.config"),
            "KOPIA_CACHE_DIRECTORY": str(self.homes.cache / "kopia"),
            "KOPIA_PASSWORD": PASSWORD,
            "KOPIA_CHECK_FOR_UPDATES": "false",
        }

    def command(self, verb: Verb, path: Path) -> list[str]:
        """See the base class."""
        if verb is Verb.BACKUP:
            return ["kopia", "snapshot", "create", "--no-progress", str(path)]
        if verb is Verb.RESTORE:
            snapshot = self.ask("kopia", "snapshot", "list", "--all", "--show-identical").split(" k")[-1]
            return ["kopia", "snapshot", "restore", f"k{snapshot.split()[0]}", str(path)]
        return ["kopia", "snapshot", "verify", "--verify-files-percent=100"]


PEERS: Final[tuple[type[CommandContender], ...]] = (Restic, ResticFlushed, Borg, Rustic, Kopia)


def installed(peer: type[Contender]) -> bool:
    """Whether its program is on PATH."""
    return shutil.which(peer.name.partition("-")[0]) is not None

"""Units of systemd are put in place, looked at and taken away: the host's, or those of one user.

A unit that a person changed is neither replaced nor removed, unless that is asked for, and then it is kept under
another name. Where systemd does not run (in a container, say), units are only written.
"""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holdfast.errors import HoldfastError, StorageDeniedError, UsageError
from holdfast.service.settings.private_files import replace_durably
from holdfast.starter.daemon.unit import ACCOUNT, is_changed, version_of

UNIT: Final = "holdfast.service"
_HOST_FOLDER: Final = Path("/etc/systemd/system")
_HOST_RUNS: Final = Path("/run/systemd/system")
"""It is there where systemd is what started the system (sd_booted(3))."""
_ACCOUNT_HOME: Final = Path("/var/lib") / ACCOUNT
_READABLE: Final = 0o644
_LIMIT_S: Final = 300.0
_PROPERTIES: Final = (
    "ActiveState",
    "SubState",
    "UnitFileState",
    "Result",
    "NRestarts",
    "MainPID",
    "MemoryCurrent",
    "StatusText",
    "ActiveEnterTimestamp",
    "DropInPaths",
    "NeedDaemonReload",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Systemd:
    """A systemd that runs services: the host's, or that of the user of this process.

    folder: where a person's units lie. runs: it is there to be talked to.
    """

    for_host: bool
    folder: Path
    runs: bool

    @classmethod
    def of_host(cls) -> "Systemd":
        """The one that started the system."""
        return cls(for_host=True, folder=_HOST_FOLDER, runs=_HOST_RUNS.is_dir())

    @classmethod
    def of_user(cls, environ: Mapping[str, str], home: Path) -> "Systemd":
        """The one of this user's sessions."""
        own = environ.get("XDG_CONFIG_HOME", "")
        folder = (Path(own) if own.startswith("/") else home / ".config") / "systemd" / "user"
        runtime = environ.get("XDG_RUNTIME_DIR", "")
        return cls(for_host=False, folder=folder, runs=bool(runtime) and Path(runtime, "systemd").is_dir())

    @property
    def unit(self) -> Path:
        """The file of our unit."""
        return self.folder / UNIT

    def ask(self, *words: str) -> str:
        """What `systemctl` answers.

        Raises:
            HoldfastError: it fails.
        """
        scope = () if self.for_host else ("--user",)
        return _answer(
            ["systemctl", *scope, *words], hint=f"`{' '.join(('journalctl', *scope))} -u {UNIT}` says more."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a service stands.

    installed: the version that wrote its unit, "" for another author, None where there is none. changed: by a person.
    shown: systemd's own words, by property; empty where it does not run.
    """

    installed: str | None
    changed: bool
    shown: Mapping[str, str]

    @property
    def is_active(self) -> bool:
        """Whether it runs, as far as its manager knows."""
        return self.shown.get("ActiveState") == "active"


def standing(systemd: Systemd) -> Standing:
    """How the service stands.

    Raises:
        HoldfastError: systemd does not answer, or the unit cannot be read.
    """
    text = _read(systemd.unit)
    answer = (
        systemd.ask("show", "--timestamp=unix", f"--property={','.join(_PROPERTIES)}", UNIT)
        if systemd.runs
        else ""
    )
    properties = (line.partition("=") for line in answer.splitlines())
    return Standing(
        installed=None if text is None else version_of(text) or "",
        changed=text is not None and is_changed(text),
        shown={name: value for name, _, value in properties},
    )


def write_unit(systemd: Systemd, text: str, *, replace: bool) -> Path | None:
    """Put the unit in place; where a changed one was put aside, if one was. replace: even that.

    Raises:
        UsageError: a person changed the one that is there.
        StorageDeniedError: it cannot be written.
    """
    before = _read(systemd.unit)
    try:
        aside = None if before is None else _aside(systemd.unit, before, replace=replace)
        systemd.folder.mkdir(parents=True, exist_ok=True)
        replace_durably(systemd.unit, text.encode())
        systemd.unit.chmod(_READABLE)
    except OSError as error:
        raise _refused(systemd.unit, error) from error
    return aside


def start(systemd: Systemd, *, now: bool) -> None:
    """Have it started with the system (or the session), and now as well: again, where it runs by an older unit.

    Raises:
        HoldfastError: systemd does not do so.
    """
    systemd.ask("daemon-reload")
    systemd.ask("enable", UNIT)
    if now:
        systemd.ask("restart", UNIT)


def remove(systemd: Systemd, *, replace: bool) -> Path | None:
    """Stop the service and take its unit away; where a changed one was put aside, if one was.

    Raises:
        UsageError: there is none, or a person changed it.
        StorageDeniedError: it cannot be removed.
        HoldfastError: systemd does not stop it.
    """
    text = _read(systemd.unit)
    if text is None:
        raise UsageError(f"there is no {systemd.unit}", hint="`holdfast service status` shows what there is.")
    if is_changed(text) and not replace:
        raise _is_anothers(systemd.unit)
    if systemd.runs:
        systemd.ask("disable", "--now", UNIT)
    try:
        aside = _aside(systemd.unit, text, replace=replace)
        systemd.unit.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(systemd.unit, error) from error
    if systemd.runs:
        systemd.ask("daemon-reload")
    return aside


def make_account() -> tuple[pwd.struct_passwd, bool]:
    """The user that the host's service runs as, and whether it was made now.

    Raises:
        HoldfastError: it cannot be made.
    """
    try:
        return pwd.getpwnam(ACCOUNT), False
    except KeyError:
        if shutil.which("systemd-sysusers") is None:
            raise HoldfastError(
                f"there is no user {ACCOUNT}, and no systemd-sysusers that would make one",
                hint=f"Make it: useradd --system --home-dir {_ACCOUNT_HOME} {ACCOUNT}",
            ) from None
    _answer(["systemd-sysusers", "--inline", f'u {ACCOUNT} - "Holdfast backups" {_ACCOUNT_HOME}'])
    return pwd.getpwnam(ACCOUNT), True


def make_owned(folder: Path, account: pwd.struct_passwd) -> bool:
    """Make a folder of that user's, if there is none; whether there was none.

    Raises:
        StorageDeniedError: it cannot be made.
    """
    if folder.exists():
        return False
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        os.chown(folder, account.pw_uid, account.pw_gid)
    except OSError as error:
        raise _refused(folder, error) from error
    return True


def account_home() -> Path:
    """The home of that user, who may not be there yet."""
    try:
        return Path(pwd.getpwnam(ACCOUNT).pw_dir)
    except KeyError:
        return _ACCOUNT_HOME


def _aside(unit: Path, text: str, *, replace: bool) -> Path | None:
    """Put a changed unit aside, under a name that systemd does not look at."""
    if not is_changed(text):
        return None
    if not replace:
        raise _is_anothers(unit)
    aside = unit.with_name(f"{unit.name}.aside-{time.strftime('%Y%m%dT%H%M%S')}")
    os.replace(unit, aside)
    return aside


def _is_anothers(unit: Path) -> UsageError:
    return UsageError(
        f"{unit} is not as Holdfast wrote it, so it was left alone",
        hint="Move your changes to `systemctl edit holdfast`, then add --replace, which keeps a copy.",
    )


def _read(unit: Path) -> str | None:
    try:
        return unit.read_text(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused(unit, error) from error


def _refused(unit: Path, error: OSError) -> StorageDeniedError:
    return StorageDeniedError(
        f"{unit}: {error.strerror}",
        hint="The host's service is root's to install; --user installs this user's own.",
    )


def _answer(command: list[str], *, hint: str = "") -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HoldfastError(f"`{command[0]}` cannot be run: {error}", hint="Is systemd installed?") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it does not say why"]
        raise HoldfastError(f"`{' '.join(command)}` failed: {said[0]}", hint=hint)
    return done.stdout

"""A systemd unit is written here that runs the service of a host, or of one user, with no more rights than it needs.

A pure function of what is wanted: nothing here looks at the disk or talks to systemd (`systemd.py` does).

The host's service reads everything and writes next to nothing:

- It runs as a user of its own, with CAP_DAC_READ_SEARCH as its one capability. Root with fewer capabilities would be no
  less than root: it owns the host's files, and is believed over D-Bus.
- Whatever it does not keep for itself (state, cache, repositories and logs of this host) is mounted read-only.
- A restore by the service needs more, and gets it for the places that are named: CAP_CHOWN and the like count only
  where something can be written.

What looks like hardening and would change a backup is left out, and each line says what it would do:

- PrivateUsers shows files of all other users as nobody's, and snapshots would say so. A user's own manager carries out
  what mounts something in such a namespace, or not at all, so units of one user have none of that.
- PrivateTmp hides /tmp and /var/tmp. A source that lies there, or holds them, would seem empty.
- RestrictSUIDSGID refuses modes that a restore sets.
- ProcSubset hides the boot id, by which locks of the dead are told from those of the living.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from holdfast.errors import UsageError

ACCOUNT: Final = "holdfast"
"""The user that the host's service runs as, and the name of its folder below /var/lib."""
READS_ALL: Final = ("CAP_DAC_READ_SEARCH",)
RESTORES: Final = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETFCAP")
CHANGES_USER: Final = ("CAP_SETUID", "CAP_SETGID")
"""What a hook of root's needs that runs a program as another user."""

_FIRST_LINE: Final = re.compile(r"# holdfast (?P<version>\S+) wrote this, digest (?P<digest>[0-9a-f]{16})\. ")
_HEAD: Final = "It is replaced as long as nobody changes it: `systemctl edit` is for that."
TEMPORARY: Final = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - named, not used
_QUOTED: Final = re.compile(r'[\\"]')


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPlan:
    """What a unit is to say.

    program: the command that it runs. executable: `holdfast`, as an absolute path. settings: their file, absolute.
    for_host: it is the host's, and not one user's. as_root: that runs as root. writable: what it keeps for itself,
    beside its home. restores_to: where else it may write, with the rights of a restore. restores: it has those rights
    in its own places at least, as drills need them. covers_temporary: sources lie in, or hold, /tmp or /var/tmp.
    credentials: files that systemd hands over, by name. variables: of the environment.
    """

    program: Literal["up", "worker"]
    executable: tuple[str, ...]
    settings: Path
    for_host: bool
    as_root: bool = False
    writable: tuple[Path, ...] = ()
    restores_to: tuple[Path, ...] = ()
    restores: bool = False
    covers_temporary: bool = False
    credentials: Mapping[str, Path] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


def unit_text(plan: UnitPlan, version: str) -> str:
    """The unit, with a first line by which `is_changed` tells what a person did to it.

    Raises:
        UsageError: a path in it has a character that no unit can hold.
    """
    body = "\n".join([*_unit(), "", "[Service]", *_service(plan), "", "[Install]", _wanted_by(plan), ""])
    return f"# holdfast {version} wrote this, digest {_digest(body)}. {_HEAD}\n{body}"


def version_of(text: str) -> str | None:
    """The version of Holdfast that wrote a unit; None where something else did."""
    match = _FIRST_LINE.match(text)
    return None if match is None else match["version"]


def is_changed(text: str) -> bool:
    """Whether a unit is not as Holdfast wrote it."""
    match = _FIRST_LINE.match(text)
    return match is None or match["digest"] != _digest(text.partition("\n")[2])


def _unit() -> Iterator[str]:
    yield "[Unit]"
    yield "Description=Holdfast: backups and restores"
    yield "Wants=network-online.target"
    yield "After=network-online.target"
    yield "# It comes back however often it ends: the disk, the server or the network may be away for days."
    yield "StartLimitIntervalSec=0"


def _service(plan: UnitPlan) -> Iterator[str]:
    yield from _process(plan)
    yield from _rights(plan)
    if plan.for_host:
        yield from _view(plan)
    yield from _calls(plan)


def _process(plan: UnitPlan) -> Iterator[str]:
    command = [*plan.executable, "--config", str(plan.settings), plan.program]
    yield "Type=notify"
    yield f"ExecStart={' '.join(_quoted(word).replace('$', '$$') for word in command)}"
    yield from (f"Environment={_quoted(f'{name}={value}')}" for name, value in plan.variables.items())
    yield from (f"LoadCredential={_quoted(f'{name}:{path}')}" for name, path in plan.credentials.items())
    yield "TimeoutStartSec=5min"
    yield "WatchdogSec=2min"
    yield "Restart=on-failure"
    yield "RestartSec=10s"
    yield "# The supervisor ends its workers and the server in their order, and replaces one that ran out of memory."
    yield "KillMode=mixed"
    yield "OOMPolicy=continue"
    yield "# Passwords are in its memory."
    yield "LimitCORE=0"
    yield "UMask=0077"


def _rights(plan: UnitPlan) -> Iterator[str]:
    yield "NoNewPrivileges=yes"
    if not plan.for_host:
        return
    capabilities = [*READS_ALL]
    if plan.restores or plan.restores_to or plan.as_root:
        capabilities += RESTORES
    if plan.as_root:
        capabilities += CHANGES_USER
        yield "User=root"
    else:
        yield f"User={ACCOUNT}"
        yield f"StateDirectory={ACCOUNT}"
        yield "StateDirectoryMode=0700"
        yield f"AmbientCapabilities={' '.join(capabilities)}"
    yield f"CapabilityBoundingSet={' '.join(capabilities)}"


def _view(plan: UnitPlan) -> Iterator[str]:
    """What it sees of the host, and what it may change there."""
    yield "ProtectSystem=strict"
    yield "ProtectHome=read-only"
    places = [*plan.writable, *plan.restores_to]
    if plan.covers_temporary:
        yield "# No PrivateTmp: a source covers /tmp or /var/tmp, and would seem empty there."
        places += TEMPORARY
    else:
        yield "PrivateTmp=yes"
    yield from (f"ReadWritePaths={_quoted(f'-{place}')}" for place in dict.fromkeys(places))
    yield "PrivateDevices=yes"
    yield "PrivateMounts=yes"
    yield "ProtectProc=invisible"
    yield from (
        f"Protect{what}=yes"
        for what in ("Clock", "ControlGroups", "Hostname", "KernelLogs", "KernelModules", "KernelTunables")
    )


def _calls(plan: UnitPlan) -> Iterator[str]:
    """What it may ask of the kernel."""
    yield "LockPersonality=yes"
    yield "MemoryDenyWriteExecute=yes"
    yield "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK"
    yield "RestrictNamespaces=yes"
    yield "RestrictRealtime=yes"
    restores = not plan.for_host or plan.restores or plan.restores_to or plan.as_root
    if not restores:
        yield "RestrictSUIDSGID=yes"
    yield "SystemCallArchitectures=native"
    yield "SystemCallErrorNumber=EPERM"
    yield "SystemCallFilter=@system-service"
    if not restores:
        yield "SystemCallFilter=~@privileged @resources"


def _wanted_by(plan: UnitPlan) -> str:
    return f"WantedBy={'multi-user.target' if plan.for_host else 'default.target'}"


def _quoted(word: str) -> str:
    """A word of a unit's line: in quotes where it needs them, and no "%" in it means anything.

    Raises:
        UsageError: it has a control character.
    """
    if not word.isprintable():
        raise UsageError(
            f"{word!r} cannot stand in a unit", hint="Give it a name without control characters."
        )
    escaped = _QUOTED.sub(r"\\\g<0>", word).replace("%", "%%")
    return f'"{escaped}"' if escaped != word or " " in word or "'" in word else escaped


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]

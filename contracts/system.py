"""Messages of systems: sources that are backed up together and recovered by the system's name.

A member is known by its label, as the settings write it: "db", or "db@host1". Hosts are asked through their task
queues; what a name means there, their workers' own settings say.
"""

from dataclasses import dataclass, field
from typing import Final

from holdfast.contracts.common import Ending, RunPolicy, RunRef, Trigger, Verdict
from holdfast.contracts.hooks import HookDone, HookRef
from holdfast.contracts.warrant import Warranted
from holdfast.terms import RunStatus, Strategy, VerifyLevel

MEMBERS_QUERY: Final = "members"

SYSTEM_TAG: Final = "holdfast-system:"
MEMBER_TAG: Final = "holdfast-member:"
SYSTEM_RUN_TAG: Final = "holdfast-system-run:"
RESOLVE_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemBackupRequest(Warranted):
    """Input of the backup of a system. strategy: auto leaves it to each source's settings.

    resolve_timeout_s: how long a host's workers may take to answer before its members count as out of reach.
    """

    system: str
    strategy: Strategy = Strategy.AUTO
    trigger: Trigger = field(default_factory=Trigger)
    policy: RunPolicy = field(default_factory=RunPolicy)
    resolve_timeout_s: float = RESOLVE_TIMEOUT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberHost:
    """Where a member is to be restored instead of on its own host. member: its label, or its source's name."""

    member: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemRestoreRequest(Warranted):
    """Input of the recovery of a system.

    as_of_ns: the moment whose state is wanted; 0 for the newest. order: "@token" of the private request file of the
    host that asks, with the folder that gets one for each member. in_place: it names none; to the original places.
    """

    system: str
    as_of_ns: int = 0
    hosts: tuple[MemberHost, ...] = ()
    order: str = ""
    in_place: bool = False
    verify: VerifyLevel = VerifyLevel.FULL
    trigger: Trigger = field(default_factory=Trigger)
    policy: RunPolicy = field(default_factory=RunPolicy)
    resolve_timeout_s: float = RESOLVE_TIMEOUT_S


SystemRequest = SystemBackupRequest | SystemRestoreRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a system. host: its own; target_host: where it is restored. queue: of the workers that act for it."""

    label: str
    source: str
    host: str
    queue: str
    target_host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSystemInput:
    """Asks what the system is, and begins the record of the run."""

    run: RunRef
    started_ns: int
    trigger: Trigger
    hosts: tuple[MemberHost, ...] = ()
    is_restore: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemOpened:
    """The system as declared. members: in the order of a recovery, when that was asked for.

    repository: where members are looked for on hosts that do not know their source.
    """

    members: tuple[Member, ...]
    before: tuple[HookRef, ...] = ()
    after: tuple[HookRef, ...] = ()
    repository: str = ""
    busy_wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveInput:
    """Asks a member's host what the source's name means there."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A backup of the source needs to know this. host: as the workers there call themselves. window: of their cores."""

    repository: str
    host: str
    strategy: Strategy
    verify: VerifyLevel
    tags: tuple[str, ...] = ()
    window: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FindInput:
    """Asks which snapshots of a member there are, made at or before a moment (0: any).

    repository: the system's, for a host that does not know the source.
    """

    system: str
    member: Member
    repository: str = ""
    as_of_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSnapshot:
    """A snapshot of a member. system_run: the run of the system that made it, or empty. partial: files are missing."""

    snapshot_id: str
    time_ns: int
    system_run: str = ""
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The repository's snapshots of a member, the newest first, at most some hundred. host: as the workers call theirs.

    ahead: the first digits of snapshots that are dated in the future. They are among the others only where there are no
    others, or where a moment that late was named.
    """

    repository: str
    host: str
    snapshots: tuple[FoundSnapshot, ...] = ()
    window: int = 0
    ahead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareInput:
    """Asks the worker that will restore a member to write down what that means, in its own state directory.

    snapshot_id: 64 hex digits. order, in_place: as in the request of the recovery.
    """

    run: RunRef
    member: Member
    snapshot_id: str
    order: str = ""
    in_place: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """selection: the token for the restore's request. to_command: the source whose command takes the output."""

    selection: str
    to_command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberOutcome:
    """The outcome of one member, in a backup or a recovery.

    ok: a backup of it is recoverable as of this run; or it was restored. reason: why not, or what is missing of it.
    workflow_id: of its own run, where there is one. snapshot_time_ns: for recoveries, the age of what came back.
    """

    label: str
    host: str
    status: RunStatus
    ok: bool = False
    snapshot_id: str = ""
    snapshot_time_ns: int = 0
    reason: str = ""
    run_id: str = ""
    workflow_id: str = ""
    files: int = 0
    bytes_total: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSystemInput:
    """Asks for the record of the run, which says of each member whether it is recoverable (or recovered)."""

    run: RunRef
    trigger: Trigger
    started_ns: int
    ending: Ending
    members: tuple[MemberOutcome, ...] = ()
    hooks: tuple[HookDone, ...] = ()
    is_restore: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemResult(Warranted):
    """Output of both workflows.

    complete: every member is recoverable (was restored) as a whole. partial: some are. failed: none is.
    system_run: of a recovery, the one run of the system that all snapshots are of; empty when they are of several.
    """

    run_id: str
    system: str
    status: RunStatus
    members: tuple[MemberOutcome, ...] = ()
    hooks: tuple[HookDone, ...] = ()
    started_ns: int = 0
    ended_ns: int = 0
    is_restore: bool = False
    system_run: str = ""

    @property
    def verdict(self) -> Verdict | None:
        """None: each member's own run has one."""
        return None

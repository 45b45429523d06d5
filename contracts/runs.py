"""Runs that plan in pages, work in shards, and can be resumed share these messages: backups, repairs and others.

Each verb adds its own fields to what is said here of its request, its opening and its progress.
"""

from dataclasses import dataclass, field

from holdfast.contracts.common import RunPolicy, RunRef, Trigger
from holdfast.contracts.control import ControlState, Throttle
from holdfast.contracts.warrant import Warranted
from holdfast.terms import VerifyLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOpened:
    """The run is open. tell: its end is to be told. alias: of its repository, where it holds locks; see
    `Repository.alias`. called: what was given by hand, in the words that this host allows; empty for what has a name.
    """

    tell: bool = False
    alias: str = ""
    called: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """A run carries this over continue-as-new: small, and enough to go on. started_ns: the run's time."""

    run_id: str
    started_ns: int
    opened: RunOpened | None = None
    pages_done: int = 0
    selection_complete: bool = False
    shards_planned: int = 0
    shards_started: int = 0
    shards_done: int = 0
    control: ControlState = field(default_factory=ControlState)

    @property
    def is_done(self) -> bool:
        """Whether all is planned, and all that is planned is done."""
        return self.selection_complete and self.shards_done >= self.shards_planned


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest(Warranted):
    """Input of a run's workflow.

    repository: a profile's name, or "@token" of a private request file. resume_run: the run id of an earlier, cancelled
    or failed run whose workspace is to be continued.
    """

    repository: str
    trigger: Trigger = field(default_factory=Trigger)
    policy: RunPolicy = field(default_factory=RunPolicy)
    resume_run: str = ""
    progress: RunProgress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectInput:
    """Asks for one page of the plan. first_shard: the number that the page's first shard gets."""

    run: RunRef
    page: int
    first_shard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePlanned:
    """One page is planned: so many shards, from the one that was asked for on."""

    shards: int
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardInput:
    """Asks for one shard of the plan."""

    run: RunRef
    shard: int
    throttle: Throttle = field(default_factory=Throttle)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInput:
    """Asks for what concerns the whole plan, which has so many pages and shards."""

    run: RunRef
    pages: int
    shards: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyInput(PlanInput):
    """Asks for the last step of a backup or a restore. snapshot_id is 64 hex digits."""

    snapshot_id: str
    level: VerifyLevel

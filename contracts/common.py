"""Messages of all runs share these: who asked, how runs are named, how they end, how hard they try."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from holdfast.contracts.control import Throttle
from holdfast.contracts.waiting import WaitsFor
from holdfast.contracts.warrant import Warranted
from holdfast.terms import RunStatus, VerifyLevel

BACKUP_WORKFLOW: Final = "Backup"
RESTORE_WORKFLOW: Final = "Restore"
PROGRESS_QUERY: Final = "progress"
PLAN_QUERY: Final = "plan"
ERRORS_QUERY: Final = "errors"


class Phase(StrEnum):
    """The five steps, by the names that the Web UI shows."""

    TRIGGER = "trigger"
    SELECT = "select"
    EXECUTE = "execute"
    LOG = "log"
    VERIFY = "verify"
    DONE = "done"


class TriggerKind(StrEnum):
    """The cause that set a run off."""

    PERSON = "person"
    SCHEDULE = "schedule"
    EVENT = "event"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """The person or thing that asked for a run, and the evidence for it (an event's text, a schedule's id)."""

    kind: TriggerKind = TriggerKind.PERSON
    by: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicy:
    """Says how hard a run tries; seconds and counts. Set by the starter from the settings.

    window: activities that move bytes at one time. heartbeat_timeout_s: silence after which a worker counts
    as dead (20 to 30 in production, 2 to 5 in tests). max_attempts: 0 means until it succeeds. steps_per_history: pages
    and shards after which a run goes on in a new history; 0 leaves that to the server.
    """

    window: int = 4
    heartbeat_timeout_s: float = 20.0
    light_timeout_s: float = 900.0
    shard_timeout_s: float = 86_400.0
    max_attempts: int = 0
    steps_per_history: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    """Names one run: what every activity of it needs in order to find its workspace.

    run_id: stable over retries, continue-as-new and resumption. attempt: the id of the journal's record, where that is
    another one: of a run that resumes another. repository, source: names that workers
    resolve; a name that begins with "@" is the token of a private request file in the state directory.
    generation counts the rescans after blobs of the parent were found to be gone.
    """

    run_id: str
    repository: str
    source: str = ""
    generation: int = 0
    attempt: str = ""

    @property
    def record_id(self) -> str:
        """The id of this attempt's record in the journal."""
        return self.attempt or self.run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The findings of a verification; `problems` counts, the journal lists them."""

    level: VerifyLevel
    ok: bool
    blobs: int = 0
    packs: int = 0
    files: int = 0
    bytes_read: int = 0
    problems: int = 0
    first_problem_kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Says how a run ended, and when.

    failure_kind: the class name of the error that made it fail; failure_message: what it says, for people.
    Both are empty where nothing failed.
    """

    status: RunStatus
    ended_ns: int
    failure_kind: str = ""
    failure_message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInput:
    """Asks for a step of a run that needs to know nothing else."""

    run: RunRef


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseInput:
    """Ends a run that has taken all its steps: its workspace goes."""

    run: RunRef
    status: RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Warranted):
    """The answer to the progress query, which the command line draws. Totals grow while selection goes on.

    bytes_per_second: the average since the run began, without its pauses, as of the workflow's last step;
    seconds_left at that rate, None while the totals are not known, nothing moves or the run is paused. waits_for: in
    words, what it waits for by itself, or who paused it and why; empty when it goes on. waits_kind: the same in one
    word; None also of a worker that is older than this field. throttle: what it keeps to.
    """

    run_id: str
    phase: Phase
    status: RunStatus = RunStatus.RUNNING
    selection_complete: bool = False
    files_total: int = 0
    files_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    shards_total: int = 0
    shards_done: int = 0
    errors: int = 0
    snapshot_id: str = ""
    paused: bool = False
    started_ns: int = 0
    bytes_per_second: int = 0
    seconds_left: int | None = None
    waits_for: str = ""
    waits_kind: WaitsFor | None = None
    throttle: Throttle = field(default_factory=Throttle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answer to the plan query: what a run has decided to do so far. Totals grow while selection goes on.

    strategy, reason, parent: of a backup; snapshot_id: of a restore (64 hex digits, or empty). bytes_to_move: what a
    backup reads and a restore writes.
    """

    strategy: str = ""
    reason: str = ""
    parent: str = ""
    snapshot_id: str = ""
    selection_complete: bool = False
    pages: int = 0
    shards: int = 0
    files: int = 0
    files_to_move: int = 0
    bytes_to_move: int = 0
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """The answer to the errors query: counts. Paths and words are in the journal (`holdfast run files`), never here.

    selecting: paths that could not be looked at. moving: files that could not be read or written. warnings: files that
    changed while they were read. problems: what the verification found.
    """

    selecting: int = 0
    moving: int = 0
    warnings: int = 0
    problems: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardHeartbeat:
    """Details of a copying activity's heartbeat: progress inside the shard, for display only."""

    shard: int
    files_done: int = 0
    bytes_done: int = 0

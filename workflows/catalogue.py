"""All workflows, and the sandbox that they run in: the same for workers, tests and replays."""

from collections.abc import Sequence
from typing import Final

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from holdfast.workflows.backup import BackupWorkflow
from holdfast.workflows.cleanup import CleanupWorkflow
from holdfast.workflows.drill import DrillWorkflow
from holdfast.workflows.forget import ForgetWorkflow
from holdfast.workflows.guard import GuardWorkflow
from holdfast.workflows.prune import PruneWorkflow
from holdfast.workflows.repair import RepairWorkflow
from holdfast.workflows.restore import RestoreWorkflow
from holdfast.workflows.scheduled_run import ScheduledRunWorkflow
from holdfast.workflows.source_watch import SourceWatchWorkflow
from holdfast.workflows.system_backup import SystemBackupWorkflow
from holdfast.workflows.system_restore import SystemRestoreWorkflow
from holdfast.workflows.verify import VerifyWorkflow
from holdfast.workflows.watchdog import WatchdogWorkflow

_TRIGGERS: Final = (GuardWorkflow, ScheduledRunWorkflow, SourceWatchWorkflow)
WORKFLOWS: Final[Sequence[type]] = (
    *_TRIGGERS,
    BackupWorkflow,
    RestoreWorkflow,
    VerifyWorkflow,
    RepairWorkflow,
    DrillWorkflow,
    ForgetWorkflow,
    PruneWorkflow,
    SystemBackupWorkflow,
    SystemRestoreWorkflow,
    WatchdogWorkflow,
    CleanupWorkflow,
)
INPUT_ERRORS: Final[Sequence[type[BaseException]]] = (TypeError, ValueError)
"""What an input that makes no sense can cause before the run begins, such as too many arguments: it fails the workflow.
Otherwise it would fail its task, again and again, and the run would stay open under its id."""


class _Runner(SandboxedWorkflowRunner):
    def prepare_workflow(self, defn: object) -> None:
        """Do not load each workflow once at every start to see whether it can be loaded: the tests do."""


def workflow_runner() -> SandboxedWorkflowRunner:
    """The sandbox. Messages pass through it, and the terms that they use: they are plain values, which must be the same
    on both sides, and need not be loaded again for each run."""
    passed = SandboxRestrictions.default.with_passthrough_modules(
        "holdfast.contracts", "holdfast.terms", "holdfast.units"
    )
    return _Runner(restrictions=passed)

"""A worker process is composed of two workers for each queue: one that is light, and one that moves bytes.

The first polls the queue itself, for workflows and light activities; the second the copy queue beside it, for
activities that move bytes, of which one computes at a time (activities/turns.py).
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from datetime import timedelta
from functools import partial
from typing import Final

from temporalio.client import Client
from temporalio.worker import FixedSizeSlotSupplier, Worker, WorkerTuner

from holdfast import __version__
from holdfast.activities.backup import BackupActivities
from holdfast.activities.cleanup import CleanupActivities
from holdfast.activities.door import Door
from holdfast.activities.drill import DrillActivities
from holdfast.activities.forget import ForgetActivities
from holdfast.activities.guard import GuardActivities
from holdfast.activities.hooks import HookActivities
from holdfast.activities.log_context import LogContext
from holdfast.activities.notify import NotifyActivities
from holdfast.activities.prune import PruneActivities
from holdfast.activities.repair import RepairActivities
from holdfast.activities.restore import RestoreActivities
from holdfast.activities.services import Services
from holdfast.activities.system import SystemActivities
from holdfast.activities.trust import AdmissionActivities, TrustedCalls
from holdfast.activities.turns import AT_ONCE, TurnContext, Turns
from holdfast.activities.verify import VerifyActivities
from holdfast.contracts.identity import copy_queue
from holdfast.service.settings.admission import Admissions
from holdfast.service.settings.model import Settings, WorkerSettings
from holdfast.workflows.catalogue import INPUT_ERRORS, WORKFLOWS, workflow_runner
from holdfast.workflows.trust import Trust

LIGHT_SLOTS: Final = 4
_BUILD: Final = f"holdfast {__version__}"
"""It names the program of a worker. Temporal's own way is to hash the code of all modules, at every start."""


def build_workers(
    client: Client,
    services: Services,
    executor: Executor,
    settings: WorkerSettings,
    queues: Sequence[str],
    *,
    enforced: bool = False,
) -> list[Worker]:
    """A light and a copying worker for each queue. enforced: what is not signed is refused."""
    admission = AdmissionActivities(
        Admissions(services.settings.state_dir), partial(_declares, services.settings)
    )
    calls = TrustedCalls(enforced=enforced)
    kinds = [
        kind(services, executor)
        for kind in (
            BackupActivities,
            GuardActivities,
            HookActivities,
            RestoreActivities,
            VerifyActivities,
            RepairActivities,
            DrillActivities,
            ForgetActivities,
            SystemActivities,
            PruneActivities,
            NotifyActivities,
            CleanupActivities,
        )
    ]
    throttle = timedelta(seconds=settings.heartbeat_throttle_s)
    grace = timedelta(seconds=settings.graceful_shutdown_s)
    workers: list[Worker] = []
    for queue in queues:
        light = Worker(
            client,
            task_queue=queue,
            workflows=WORKFLOWS,
            activities=[*admission.light(), *(function for kind in kinds for function in kind.light())],
            workflow_runner=workflow_runner(),
            workflow_failure_exception_types=INPUT_ERRORS,
            build_id=_BUILD,
            max_concurrent_activities=LIGHT_SLOTS,
            max_heartbeat_throttle_interval=throttle,
            default_heartbeat_throttle_interval=throttle,
            graceful_shutdown_timeout=grace,
            interceptors=[Trust(enforced=enforced), calls, LogContext(), Door()],
        )
        turns = Turns()
        copying = Worker(
            client,
            task_queue=copy_queue(queue),
            activities=[function for kind in kinds for function in kind.copying()],
            build_id=_BUILD,
            tuner=_copying_slots(turns),
            max_heartbeat_throttle_interval=throttle,
            default_heartbeat_throttle_interval=throttle,
            graceful_shutdown_timeout=grace,
            interceptors=[calls, LogContext(), Door(), TurnContext(turns)],
        )
        workers += [light, copying]
    return workers


def _declares(settings: Settings, workflow_id: str, starts: str) -> bool:
    from holdfast.control.schedules.admission import declares  # noqa: PLC0415 - it brings what builds requests: seldom needed

    return declares(settings, workflow_id, starts)


def _copying_slots(turns: Turns) -> WorkerTuner:
    """A tuner always has suppliers for all kinds of work; a copying worker polls for activities only."""
    unused = FixedSizeSlotSupplier(1)
    return WorkerTuner.create_composite(
        workflow_supplier=unused,
        activity_supplier=turns,
        local_activity_supplier=unused,
        nexus_supplier=unused,
    )


def threads(queues: Sequence[str]) -> int:
    """How many threads activities of these queues can use at once."""
    return (LIGHT_SLOTS + AT_ONCE) * len(queues)

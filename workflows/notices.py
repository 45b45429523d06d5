"""How a workflow has its end told, whatever that end is: in its own activity, and never at the run's cost."""

import asyncio
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import FailureError

from contracts.notify import NOTIFY, Notified, NotifyInput
from holdfast.terms import RunStatus
from workflows.answers import answer_of

_ATTEMPTS: Final = 3
_TIMEOUT: Final = timedelta(minutes=10)
_UNOPENED_PATCH: Final = "tell-unopened-runs"  # histories from before it end without this activity


async def tell_end(message: NotifyInput, *, wanted: bool | None, heartbeat_timeout_s: float) -> None:
    """Have the run's end told. Called last, when all else is done: a cancellation that comes now changes nothing.

    wanted: as the worker said when it opened the run; None for a run that was never opened, and so could not be asked.
    """
    if message.status is RunStatus.CANCELLED:
        return
    if not (workflow.patched(_UNOPENED_PATCH) if wanted is None else wanted):
        return
    try:
        handle = workflow.start_activity(
            NOTIFY,
            message,
            result_type=RawValue,
            start_to_close_timeout=_TIMEOUT,
            heartbeat_timeout=timedelta(seconds=heartbeat_timeout_s),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=1), backoff_coefficient=1.0, maximum_attempts=_ATTEMPTS
            ),
            summary=f"tell: {message.status.value}",
        )
        await answer_of(handle, Notified)
    except (FailureError, asyncio.CancelledError):
        workflow.logger.warning("the end of the run could not be told to those who want to know")

"""How a workflow has its end told, whatever that end is: in its own activity, and never at the run's cost."""

import asyncio
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import FailureError

from contracts.notify import NOTIFY, Notified, NotifyInput
from workflows.answers import answer_of

_ATTEMPTS: Final = 3
_TIMEOUT: Final = timedelta(minutes=10)


async def tell_end(message: NotifyInput, *, heartbeat_timeout_s: float) -> None:
    """Have the run's end told. Called last, when all else is done: a cancellation that comes now changes nothing."""
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
            summary=f"tell: {message.ending.status.value}",
        )
        await answer_of(handle, Notified)
    except (FailureError, asyncio.CancelledError):
        workflow.logger.warning("the end of the run could not be told to those who want to know")

"""A workflow has its end told, whatever that end is: in an activity of its own, and never at the run's cost."""

import asyncio
from typing import Final

from temporalio import workflow
from temporalio.exceptions import FailureError

from holdfast.contracts.notify import NOTIFY, Notified, NotifyInput
from holdfast.workflows.policies import ActivityCalls

_ATTEMPTS: Final = 3
_TIMEOUT_S: Final = 600.0


async def tell_end(calls: ActivityCalls, message: NotifyInput) -> None:
    """Have the run's end told. Called last, when all else is done: a cancellation that comes now changes nothing."""
    summary = f"tell: {message.ending.status.value}"
    try:
        await calls.tried(NOTIFY, message, Notified, summary, timeout_s=_TIMEOUT_S, attempts=_ATTEMPTS)
    except (FailureError, asyncio.CancelledError):
        workflow.logger.warning("the end of the run could not be told to those who want to know")

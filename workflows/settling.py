"""Waiting for what must have ended before anything else is done.

A run can be cancelled a second time while it ends: by the update after the server, or the other way round. What was
begun because of the first cancellation is not disturbed by the second.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import workflow


async def settled(tasks: "Sequence[asyncio.Task[Any]]") -> None:
    """Wait until all have ended, whatever cancels the caller meanwhile; how they ended is the caller's to see."""
    while not all(task.done() for task in tasks):
        try:
            await workflow.wait(tasks)
        except asyncio.CancelledError:
            continue

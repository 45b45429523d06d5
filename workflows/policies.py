"""Workflows call activities by rules: queue, timeouts, retries, heartbeats, cancellation.

Two reasons for a retry, two delays. A worker that died is noticed by its missing heartbeats, and its work
goes on elsewhere after one second, however often that happens. A temporary error (a full disk, a store that
is away) comes with its own, growing delay, which the activity sets where it knows the attempt
(activities/errors.py). Hence the constant interval here.

Cancellation waits until an activity has really stopped: what runs after it may rely on nobody writing any
longer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from temporalio import workflow
from temporalio.common import Priority, RawValue, RetryPolicy

from holdfast.contracts.common import RunPolicy
from holdfast.contracts.control import NORMAL_PRIORITY
from holdfast.contracts.identity import copy_queue
from holdfast.workflows.answers import answer_of
from holdfast.workflows.control import RunControl

ResultT = TypeVar("ResultT")

RETRY_INTERVAL: Final = timedelta(seconds=1)
FEW_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityCalls:
    """Calls activities as one run's policy says. control: lets each but the last words be paused and started again.

    quick: bounded work (a page, a record). lasting: may take hours, on the light queue (verify).
    copying: moves bytes, or computes as long (commit), on the copy queue. tried: gives up soon. last_words: as quick,
    but gives up soon, so that a run that has failed ends.
    """

    policy: RunPolicy
    control: RunControl | None = None

    async def quick(self, name: str, message: object, result: type[ResultT], summary: str) -> ResultT:
        """Run a bounded activity on the light queue."""
        timeout_s = self.policy.light_timeout_s
        return await self.tried(name, message, result, summary, timeout_s=timeout_s, attempts=None)

    async def lasting(self, name: str, message: object, result: type[ResultT], summary: str) -> ResultT:
        """Run an activity that may take long on the light queue."""
        timeout_s = self.policy.shard_timeout_s
        return await self.tried(name, message, result, summary, timeout_s=timeout_s, attempts=None)

    async def copying(
        self, name: str, message: Callable[[], object], result: type[ResultT], summary: str
    ) -> ResultT:
        """Run an activity on the copy queue; `message` is asked for each time that it is started."""
        queue, timeout_s = copy_queue(workflow.info().task_queue), self.policy.shard_timeout_s
        return await self.tried(
            name, message, result, summary, timeout_s=timeout_s, queue=queue, attempts=None
        )

    async def copying_once(self, name: str, message: object, result: type[ResultT], summary: str) -> ResultT:
        """Run a byte-moving activity that must not be run twice; no pause stops it."""
        queue, timeout_s = copy_queue(workflow.info().task_queue), self.policy.shard_timeout_s
        return await self.tried(name, message, result, summary, timeout_s=timeout_s, queue=queue, attempts=1)

    async def last_words(self, name: str, message: object, summary: str) -> None:
        """Run a bounded activity at the end of a run that failed or was cancelled."""
        await self.tried(name, message, type(None), summary, timeout_s=self.policy.light_timeout_s)

    async def tried(
        self,
        name: str,
        message: object,
        result: type[ResultT],
        summary: str,
        *,
        timeout_s: float,
        queue: str | None = None,
        attempts: int | None = FEW_ATTEMPTS,
        begin_s: float | None = None,
    ) -> ResultT:
        """Run an activity that gives up after some attempts; no pause stops it. begin_s: how long it may wait for a
        worker. attempts: None for as many as the policy allows, and then a pause does stop it."""

        def start() -> "workflow.ActivityHandle[RawValue | None]":
            handle: workflow.ActivityHandle[RawValue | None] = workflow.start_activity(
                name,
                message() if callable(message) else message,
                task_queue=queue,
                result_type=RawValue,
                schedule_to_start_timeout=None if begin_s is None else timedelta(seconds=begin_s),
                start_to_close_timeout=timedelta(seconds=timeout_s),
                heartbeat_timeout=timedelta(seconds=self.policy.heartbeat_timeout_s),
                retry_policy=RetryPolicy(
                    initial_interval=RETRY_INTERVAL,
                    backoff_coefficient=1.0,
                    maximum_attempts=self.policy.max_attempts if attempts is None else attempts,
                ),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=summary,
                priority=self._priority(),
            )
            return handle

        control = self.control if attempts is None else None
        return await answer_of(start() if control is None else control.steered(start), result)

    def _priority(self) -> Priority:
        if self.control is None or self.control.state.priority == NORMAL_PRIORITY:
            return Priority.default
        return Priority(priority_key=self.control.state.priority)

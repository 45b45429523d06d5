"""How workflows ask the workers of a system's members, which live on their own hosts."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as StepTimeoutError

from contracts.common import RunPolicy
from contracts.system import Member
from workflows.answers import answer_of
from workflows.failures import failure_of

ResultT = TypeVar("ResultT")
_ATTEMPTS: Final = 5


class MemberAwayError(Exception):
    """A member's host cannot say what is to be known of it; the message is the verdict's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberCalls:
    """Asks the workers of members' hosts. answer_s: how long they may take to begin with the answer."""

    policy: RunPolicy
    answer_s: float

    async def ask(self, member: Member, name: str, message: object, result: type[ResultT]) -> ResultT:
        """The answer of a worker at the member's queue.

        Raises:
            MemberAwayError: there is none, or it cannot say.
        """
        try:
            handle: workflow.ActivityHandle[RawValue | None] = workflow.start_activity(
                name,
                message,
                task_queue=member.queue,
                result_type=RawValue,
                schedule_to_start_timeout=timedelta(seconds=self.answer_s),
                start_to_close_timeout=timedelta(seconds=self.policy.light_timeout_s),
                heartbeat_timeout=timedelta(seconds=self.policy.heartbeat_timeout_s),
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(seconds=1), backoff_coefficient=1.0, maximum_attempts=_ATTEMPTS
                ),
                summary=member.label,
            )
            return await answer_of(handle, result)
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            if isinstance(error.__cause__, StepTimeoutError):
                host = member.target_host or member.host
                raise MemberAwayError(f"no worker of {host} answers") from error
            raise MemberAwayError(failure_of(error).message.partition("\n")[0]) from error

"""Workflows ask the workers of a system's members, which live on their own hosts."""

from dataclasses import dataclass
from typing import TypeVar

from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as StepTimeoutError

from contracts.system import Member
from workflows.failures import failure_of
from workflows.policies import ActivityCalls

ResultT = TypeVar("ResultT")


class MemberAwayError(Exception):
    """A member's host cannot say what is to be known of it; the message is the verdict's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberCalls:
    """Asks the workers of members' hosts. answer_s: how long they may take to begin with the answer."""

    calls: ActivityCalls
    answer_s: float

    async def ask(self, member: Member, name: str, message: object, result: type[ResultT]) -> ResultT:
        """The answer of a worker at the member's queue.

        Raises:
            MemberAwayError: there is none, or it cannot say.
        """
        try:
            return await self.calls.tried(
                name,
                message,
                result,
                member.label,
                timeout_s=self.calls.policy.light_timeout_s,
                queue=member.queue,
                begin_s=self.answer_s,
            )
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            if isinstance(error.__cause__, StepTimeoutError):
                host = member.target_host or member.host
                raise MemberAwayError(f"no worker of {host} answers") from error
            raise MemberAwayError(failure_of(error).message.partition("\n")[0]) from error

"""Answers of steps and of runs that were started are taken out of their payloads where they are waited for.

Asked for a value, Temporal's SDK reads it before any code of ours runs: one that cannot be believed or read would end
the whole run, past its frame, without a record. And no value at all passes for None. So steps are asked for the payload
itself, and it is read here: what is wrong with it is the step's failure, and the run ends as one that has failed.
"""

from collections.abc import Awaitable
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from holdfast.contracts.warrant import RESULT, UNTRUSTED, Warranted

ResultT = TypeVar("ResultT")


async def answer_of(handle: Awaitable[RawValue | None], result: type[ResultT]) -> ResultT:
    """Wait for the answer of the step or run.

    Raises:
        ApplicationError: it did not say anything, or nothing that is believed, or nothing of this kind.
        FailureError: whatever ended it.
    """
    return read_answer(await handle, result)


def read_answer(raw: RawValue | None, result: type[ResultT]) -> ResultT:
    """The answer in a payload.

    Raises:
        ApplicationError: there is none, or none that is believed, or of another kind.
    """
    if raw is None:
        raise ApplicationError("a step ended without an answer", type=UNTRUSTED, non_retryable=True)
    answer: ResultT = workflow.payload_converter().from_payload(raw.payload, result)
    return answer


def check_run(answer: object, run: str | None) -> None:
    """See that a run's result is of the run that was started, not of one before under the same id.

    Raises:
        ApplicationError: it is not.
    """
    warrant = answer.warrant if isinstance(answer, Warranted) else None
    if warrant is not None and (warrant.run != run or not any(word == RESULT for word in warrant.purposes)):
        raise ApplicationError(
            "the result of another run was given for that of this one", type=UNTRUSTED, non_retryable=True
        )

"""A run names the cause of its end: the activity's error, not what Temporal wraps it in."""

from dataclasses import dataclass
from typing import Final

from temporalio.exceptions import ActivityError, ApplicationError, FailureError
from temporalio.exceptions import TimeoutError as StepTimeoutError

MAX_MESSAGE: Final = 2_000
"""Of a message that goes into a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """kind: the error's class name as activities report it (holdfast.errors). message: for people."""

    kind: str
    message: str

    def as_workflow_failure(self) -> ApplicationError:
        """The error that ends the workflow, so that a client finds kind and message without digging."""
        return ApplicationError(self.message, type=self.kind, non_retryable=True)


def failure_of(error: BaseException) -> Failure:
    """Find the error below Temporal's wrappers."""
    if isinstance(error, ActivityError):
        return _activity_failure(error)
    if isinstance(error, ApplicationError):
        return Failure(kind=error.type or "ApplicationError", message=error.message)
    if isinstance(error, FailureError):
        return Failure(kind=type(error).__name__, message=error.message)
    return Failure(kind=type(error).__name__, message=str(error))


def _activity_failure(error: ActivityError) -> Failure:
    cause = error.__cause__
    if isinstance(cause, StepTimeoutError):
        kind = cause.type.name.lower().replace("_", " ") if cause.type is not None else "timeout"
        return Failure(
            kind="TimeoutError", message=f"the step {error.activity_type!r} ran out of time ({kind})"
        )
    if cause is None:
        return Failure(kind=type(error).__name__, message=error.message)
    return failure_of(cause)

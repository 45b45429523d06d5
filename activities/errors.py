"""The one place where an engine's error becomes what Temporal stores and retries.

What goes into a history is read by everyone who may see the namespace: the type and the message of our own errors,
which hold no lists and no secrets, without the paths in them (activities/veil.py). Anything else is a bug or the
operating system speaking; its text may hold a file name, so only its type goes up, and the rest into the worker's own
log. Causes are cut off for the same reason.

The delay before the next attempt grows here and not in the workflows' retry policy, because only here a temporary
error can be told from a worker that died (workflows/policies.py).
"""

import errno
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from temporalio.exceptions import ApplicationError

from holdfast.activities.veil import VEIL
from holdfast.errors import HoldfastError, RunStateError, SourceCommandError, StorageUnavailableError

MAX_DELAY_S: Final = 60
INTERNAL_ERROR: Final = "InternalError"

_ATTEMPTS_OF_BUGS: Final = 5
_LIMITED_ATTEMPTS: Final[Mapping[type[HoldfastError], int]] = {
    SourceCommandError: 3,
    RunStateError: 3,  # what is gone may be late to appear in a listing, but does not come back
}


def delay_before(attempt: int) -> timedelta:
    """Say how long to wait after attempt number `attempt` (from 1) ended with an error: 1, 2, 4 … 60 seconds."""
    return timedelta(seconds=min(MAX_DELAY_S, 1 << min(attempt - 1, 16)))


def application_error(error: Exception, *, attempt: int, final: bool = False) -> ApplicationError:
    """Translate `error` for Temporal. final: do not retry even what a retry could help."""
    if isinstance(error, ApplicationError):
        return error
    if isinstance(error, HoldfastError):
        limit = _LIMITED_ATTEMPTS.get(type(error))
        exhausted = limit is not None and attempt >= limit
        asked_s = error.retry_after_s if isinstance(error, StorageUnavailableError) else 0.0
        return _error(
            VEIL.over(str(error)),
            kind=type(error).__name__,
            delay=max(delay_before(attempt), timedelta(seconds=asked_s)),
            permanent=final or exhausted or not error.retryable,
        )
    if isinstance(error, OSError | MemoryError):
        return _error(
            _system_message(error), kind=type(error).__name__, delay=delay_before(attempt), permanent=final
        )
    message = (
        f"an internal error ({type(error).__name__})\nthe worker's log has the details; please report it"
    )
    permanent = final or attempt >= _ATTEMPTS_OF_BUGS
    return _error(message, kind=INTERNAL_ERROR, delay=delay_before(attempt), permanent=permanent)


def is_expected(error: Exception) -> bool:
    """Whether the error's own words suffice, so that no traceback needs to be logged."""
    return isinstance(error, HoldfastError | ApplicationError)


def _error(message: str, *, kind: str, delay: timedelta, permanent: bool) -> ApplicationError:
    if permanent:
        return ApplicationError(message, type=kind, non_retryable=True)
    return ApplicationError(message, type=kind, next_retry_delay=delay)


def _system_message(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "the worker ran out of memory"
    if error.errno is None:
        return f"the operating system reported {type(error).__name__}"
    name = errno.errorcode.get(error.errno, str(error.errno))
    return f"the operating system reported {name}: {os.strerror(error.errno)}"

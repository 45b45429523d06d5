"""What Temporal is told about errors: kinds, delays, and nothing that names a file."""

import errno
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from holdfast.activities.errors import INTERNAL_ERROR, application_error, delay_before, is_expected
from holdfast.errors import (
    HoldfastError,
    RunStateError,
    StorageDeniedError,
    StorageFullError,
    StorageUnavailableError,
    WrongPasswordError,
)

CANARY = "canary-secret.txt"


def test_delays_grow_to_a_minute() -> None:
    seconds = [delay_before(attempt).total_seconds() for attempt in (1, 2, 3, 6, 7, 100_000)]
    assert seconds == [1, 2, 4, 32, 60, 60]


@pytest.mark.parametrize(
    "error", [WrongPasswordError("no key", hint="try"), StorageDeniedError("no", hint="")]
)
def test_permanent_errors_are_not_retried(error: HoldfastError) -> None:
    told = application_error(error, attempt=1)
    assert told.non_retryable
    assert (told.type, told.message) == (type(error).__name__, str(error))


def test_temporary_errors_come_with_their_delay() -> None:
    told = application_error(StorageFullError("full"), attempt=4)
    assert not told.non_retryable
    assert told.type == "StorageFullError"
    assert told.next_retry_delay == timedelta(seconds=8)


def test_a_storage_is_left_alone_for_as_long_as_it_asks() -> None:
    busy = StorageUnavailableError("busy", retry_after_s=300.0)
    assert application_error(busy, attempt=1).next_retry_delay == timedelta(seconds=300)
    soon = StorageUnavailableError("busy", retry_after_s=3.0)
    assert application_error(soon, attempt=4).next_retry_delay == timedelta(seconds=8)


def test_a_temporary_error_can_be_made_final() -> None:
    assert application_error(StorageFullError("full"), attempt=1, final=True).non_retryable


def test_lost_state_is_looked_for_three_times() -> None:
    ends = [
        application_error(RunStateError("gone"), attempt=attempt).non_retryable for attempt in (1, 2, 3, 4)
    ]
    assert ends == [False, False, True, True]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files", f"/home/{CANARY}"),
        FileNotFoundError(errno.ENOENT, "No such file", f"/home/{CANARY}", None, "/other"),
        OSError(f"something about {CANARY}"),
        KeyError(CANARY),
        UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, CANARY),
    ],
)
def test_foreign_errors_do_not_tell_names(error: Exception) -> None:
    told = application_error(error, attempt=1)
    assert CANARY not in repr((told.message, told.details, told.type))
    assert told.__cause__ is None
    assert not told.non_retryable
    assert not is_expected(error)


def test_the_system_is_tried_again_without_end_and_a_bug_is_not() -> None:
    assert not application_error(OSError(errno.EMFILE, "x"), attempt=1000).non_retryable
    assert not application_error(MemoryError(), attempt=1000).non_retryable
    bug = application_error(ZeroDivisionError(), attempt=5)
    assert (bug.type, bug.non_retryable) == (INTERNAL_ERROR, True)


def test_what_is_translated_already_stays() -> None:
    told = ApplicationError("x", type="X")
    assert application_error(told, attempt=3) is told

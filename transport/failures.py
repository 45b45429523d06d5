"""Failures: readable as Temporal's own are, and believed only with a signature.

A failure is no payload, so no codec sees its message. What this program's failures say is hashed, and the hash goes
into their encoded attributes, which a codec does see: it signs them, and with them what they stand for. Where the codec
hides values, the message itself goes there instead, and clear text is emptied. Stack traces are not covered: they are
for people, and a server shortens them.

Only failures that a program can make (`application_failure_info`) are asked for that. Timeouts, cancellations,
terminations and the wrappers around a step's failure are the server's; who may speak to the server can bring them
about, so they never say more than that something has ended.
"""

import hashlib
import json
from typing import ClassVar, Final

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError

from holdfast.contracts.warrant import UNTRUSTED

_HIDDEN: Final = "Encoded failure"
_HIDDEN_PARTS: Final = 3
"""A list, because nothing that is sent otherwise is one: hash, message, stack trace."""
_MAX_TRACE: Final = 1_500
"""A server shortens failures of more than 4 KB while it waits for the next attempt, and drops attributes first."""


class SignedFailures(DefaultFailureConverter):
    """For a `DataConverter`'s failure_converter_class, with a codec that signs."""

    hides: ClassVar[bool] = False
    required: ClassVar[bool] = True

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """As Temporal's own, and attested."""
        super().to_failure(exception, payload_converter, failure)
        if failure.HasField("encoded_attributes") and not self.hides:
            return  # handed on as it came: the codec signs it again for its new place
        failure.stack_trace = failure.stack_trace[-_MAX_TRACE:]
        said = [_hash_of(failure)]
        if self.hides:
            said += [failure.message, failure.stack_trace]
            failure.message, failure.stack_trace = _HIDDEN, ""
        elif not failure.HasField("application_failure_info"):
            return
        failure.encoded_attributes.CopyFrom(payload_converter.to_payload(said))

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        """As Temporal's own; one that is not attested is an UntrustedError."""
        shown = Failure()
        shown.CopyFrom(failure)
        _drop_details(shown)
        said = _said(shown, payload_converter)
        if len(said) == _HIDDEN_PARTS:
            shown.message, shown.stack_trace = said[1:]
        unattested = not said or said[0] != _hash_of(shown)
        if self.required and unattested and shown.HasField("application_failure_info"):
            return ApplicationError(
                "a failure was reported that does not bear this installation's signature",
                type=UNTRUSTED,
                non_retryable=True,
            )
        return super().from_failure(shown, payload_converter)


class HiddenFailures(SignedFailures):
    """With a codec that hides values."""

    hides = True


class LenientFailures(SignedFailures):
    """During a migration: what is not attested is believed."""

    required = False


class LenientHiddenFailures(HiddenFailures):
    """During a migration to a codec that hides values."""

    required = False


def failure_converter(*, hides: bool, lenient: bool) -> type[SignedFailures]:
    """The one to use."""
    if lenient:
        return LenientHiddenFailures if hides else LenientFailures
    return HiddenFailures if hides else SignedFailures


def _hash_of(failure: Failure) -> str:
    info = failure.application_failure_info
    facts = (failure.message, info.type, info.non_retryable)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _said(failure: Failure, payload_converter: PayloadConverter) -> list[str]:
    """What the attributes say, as far as they are accepted."""
    if not failure.HasField("encoded_attributes"):
        return []
    try:
        said: object = payload_converter.from_payload(failure.encoded_attributes)
    except ApplicationError:
        return []
    return said if isinstance(said, list) and all(isinstance(part, str) for part in said) else []


def _drop_details(failure: Failure) -> None:
    """Nobody here reads them, and one that is not accepted would fail more than the step that it comes from."""
    if failure.HasField("application_failure_info"):
        failure.application_failure_info.ClearField("details")
    if failure.HasField("canceled_failure_info"):
        failure.canceled_failure_info.ClearField("details")
    if failure.HasField("timeout_failure_info"):
        failure.timeout_failure_info.ClearField("last_heartbeat_details")
    if failure.HasField("reset_workflow_failure_info"):
        failure.reset_workflow_failure_info.ClearField("last_heartbeat_details")

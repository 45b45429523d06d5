"""Values to payloads and back: warrants, refusals, and whatever is not what a message should be.

Temporal's own converter raises what fails a workflow's *task*, again and again, and leaves the run open under its id.
This one raises what fails the workflow, at once and with a message. For activities, whose worker would try again
without end, it puts a `Refusal` in the value's place, and what receives the call looks for that (activities/trust.py).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultPayloadConverter,
    SerializationContext,
)
from temporalio.exceptions import ApplicationError

from holdfast.contracts.checks import check
from holdfast.contracts.warrant import MALFORMED, UNTRUSTED, Refusal, Stamped, Warrant, bear
from holdfast.transport.refusals import refusal_in

WARRANT: Final = "holdfast-warrant"
_MAX_REASON: Final = 300


class _UnacceptableError(Exception):
    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class CheckedConverter(DefaultPayloadConverter):
    """For a `DataConverter`'s payload_converter_class."""

    def __init__(self) -> None:
        super().__init__()
        self._of_activity = False

    def with_context(self, context: SerializationContext) -> "CheckedConverter":
        """One for the values of an activity, or for others."""
        of_activity = isinstance(context, ActivitySerializationContext)
        if of_activity == self._of_activity:
            return self
        converter = CheckedConverter()
        converter._of_activity = of_activity
        return converter

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """One payload for each value; the warrant of a stamped one goes into its metadata."""
        return [self._payload(value) for value in values]

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """One value for each payload.

        Raises:
            ApplicationError: one is not accepted, or not what it should be.
        """
        hints: Sequence[type | None] = type_hints or [None] * len(payloads)
        return [self._value(payload, hint) for payload, hint in zip(payloads, hints, strict=True)]

    def _payload(self, value: Any) -> Payload:
        if not isinstance(value, Stamped):
            return super().to_payloads([value])[0]
        [payload] = super().to_payloads([value.value])
        payload.metadata[WARRANT] = value.warrant.to_json()
        return payload

    def _value(self, payload: Payload, hint: type | None) -> Any:
        if hint is RawValue:
            return RawValue(payload)
        try:
            return self._accepted(payload, hint)
        except _UnacceptableError as error:
            if self._of_activity:
                return Refusal(kind=error.kind, reason=str(error))
            raise ApplicationError(str(error), type=error.kind, non_retryable=True) from None

    def _accepted(self, payload: Payload, hint: type | None) -> Any:
        reason = refusal_in(payload)
        if reason is not None:
            raise _UnacceptableError(UNTRUSTED, f"a value was refused: {reason}")
        try:
            [value] = super().from_payloads([payload], None if hint is None else [hint])
            if isinstance(hint, type) and dataclasses.is_dataclass(hint) and not isinstance(value, hint):
                raise TypeError(f"it is {'nothing' if value is None else type(value).__name__}")
            check(value)
            warrant = payload.metadata.get(WARRANT)
            return value if warrant is None else bear(value, Warrant.from_json(warrant))
        except Exception as error:  # noqa: BLE001 - whatever stands there, the answer is that it cannot be read
            name = getattr(hint, "__name__", "value")
            raise _UnacceptableError(MALFORMED, f"this is no {name}: {_reason(error)}") from None


class TolerantDataConverter(DataConverter):
    """Temporal's, but for payloads that claim to lie in a store outside of the server.

    There is none here, and the SDK raises for such a claim: anybody's signal would block the workflow that gets it.
    They are passed on instead, and refused like all that is not ours.
    """

    async def _decode_reference_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)

    async def _external_retrieve_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)


def _reason(error: BaseException) -> str:
    """What is wrong and where, from the chain of errors that the conversion raises."""
    fields: list[str] = []
    while error.__cause__ is not None:
        words = str(error).split()
        if words[:3] == ["Failed", "converting", "field"]:
            fields.append(words[3])
        error = error.__cause__
    where = f"{'.'.join(fields)}: " if fields else ""
    return f"{where}{error}"[:_MAX_REASON]

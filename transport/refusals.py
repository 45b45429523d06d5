"""What is put in the place of a payload that is not accepted.

A codec that raises fails the workflow's task, again and again, or the whole workflow for a mere signal. So it hands on
a payload that says why, and what wants to read that finds out (transport/converter.py): a workflow without a request
fails, a signal is dropped, an update is rejected.
"""

from typing import Final

from temporalio.api.common.v1 import Payload

_ENCODING: Final = b"holdfast/refused"


class RefusedError(Exception):
    """A payload is not accepted; the message says why, as the end of a sentence that names it."""


def refused(reason: str) -> Payload:
    """The payload that stands for one that is not accepted."""
    return Payload(metadata={"encoding": _ENCODING}, data=reason.encode())


def refusal_in(payload: Payload) -> str | None:
    """Why the payload that stood here was not accepted; None for any other payload."""
    if payload.metadata.get("encoding") != _ENCODING:
        return None
    return payload.data.decode("utf-8", "replace")[:300]

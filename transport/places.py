"""Where a value belongs: one workflow, or one activity of one run. Signatures and seals are bound to that.

Activities of signed runs have ids that begin with the id of their run (workflows/trust.py), so what was said in one
run, or about one step, is worth nothing in another. A value that belongs to no workflow, such as a schedule's own memo,
is bound to the namespace only.

Temporal appends the time to the id of a workflow that a schedule starts, after its input was signed. So all runs of one
schedule share the place of the schedule's id; what their input may be used for, its warrant says.
"""

import re
from typing import Final

from temporalio.converter import (
    ActivitySerializationContext,
    SerializationContext,
    WorkflowSerializationContext,
)

Place = tuple[str, ...]

_APPENDED: Final = re.compile(r"-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_APPENDED_LENGTH: Final = len("-2026-01-01T00:00:00Z")


def nowhere(namespace: str) -> Place:
    """The place of what belongs to no workflow."""
    return ("namespace", namespace)


def workflow_place(namespace: str, workflow_id: str) -> Place:
    """The place of what is said to or by a workflow."""
    return ("workflow", namespace, without_time(workflow_id))


def place_of(context: SerializationContext, namespace: str) -> Place:
    """The place that Temporal's own description of it means."""
    if isinstance(context, WorkflowSerializationContext):
        return workflow_place(context.namespace, context.workflow_id)
    if isinstance(context, ActivitySerializationContext):
        return (
            "activity",
            context.namespace,
            without_time(context.workflow_id or ""),
            context.activity_type or "",
            context.activity_id or "",
        )
    return nowhere(namespace)


def without_time(workflow_id: str) -> str:
    """The id without the time that a schedule has appended to it."""
    if _APPENDED.fullmatch(workflow_id[-_APPENDED_LENGTH:]):
        return workflow_id[:-_APPENDED_LENGTH]
    return workflow_id

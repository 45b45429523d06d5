"""Plans what `schedule apply` does: a pure comparison of what is declared with what the server has."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from holdfast.control.schedules.declaration import Declaration

_ABSENT: Final = "(nothing)"


class Step(StrEnum):
    """What happens to one schedule."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A schedule of this host that the server has. entry: as it was declared."""

    id: str
    entry: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step. differences: "key: before → after", for a change. declared: None for what is deleted."""

    step: Step
    id: str
    declared: Declaration | None = None
    differences: tuple[str, ...] = ()


def plan(declared: Sequence[Declaration], standing: Sequence[Standing]) -> list[PlannedStep]:
    """The steps that make the server's schedules those that are declared; none when they are."""
    known = {schedule.id: schedule for schedule in standing}
    steps: list[PlannedStep] = []
    for wanted in declared:
        there = known.pop(wanted.id, None)
        if there is None:
            steps.append(PlannedStep(step=Step.CREATE, id=wanted.id, declared=wanted))
            continue
        differences = tuple(_differences(there.entry, plain(wanted.entry)))
        if differences:
            steps.append(
                PlannedStep(step=Step.CHANGE, id=wanted.id, declared=wanted, differences=differences)
            )
    return steps + [PlannedStep(step=Step.DELETE, id=name) for name in sorted(known)]


def plain(entry: Mapping[str, object]) -> dict[str, object]:
    """An entry as it comes back from JSON: lists for tuples, text for enumerations."""
    found: dict[str, object] = json.loads(json.dumps(entry, sort_keys=True))
    return found


def _differences(before: Mapping[str, object], after: Mapping[str, object], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        name = f"{prefix}{key}"
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{name}.")
        else:
            found.append(f"{name}: {_shown(old)} → {_shown(new)}")
    return found


def _shown(value: object) -> str:
    return _ABSENT if value is None else json.dumps(value, ensure_ascii=False)

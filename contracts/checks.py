"""Bounds of what messages hold, for all of them in one place: whatever is converted from outside is checked here.

A type says what a field is; a number that is no number, a wait of a thousand years or a name of a megabyte are of the
right type. A request that cannot be meant is refused before anything is begun (transport/converter.py).
"""

import dataclasses
import math
from typing import Final

from contracts.common import RunPolicy
from contracts.verbs import VERBS
from contracts.watch import WatchConditions, WatchOrder

MAX_NAME: Final = 255
"""Characters of names: a workflow's id, which holds three of them, has at most 1,000 bytes."""
MAX_ID: Final = 1_000
"""What the server allows."""
MAX_TEXT: Final = 20_000
MAX_SECONDS: Final = 10 * 366 * 86_400.0
MAX_WHOLE: Final = 1 << 63
MAX_WINDOW: Final = 4_096
_NAMES: Final = frozenset(
    (
        *("repository", "source", "system", "host", "selection", "drill", "to_command", "member"),
        *("schedule", "order"),
    )
)
_IDS: Final = frozenset(("workflow_id", "run_id", "resume_run"))
_REQUIRED: Final[dict[type, tuple[str, ...]]] = {
    WatchOrder: ("workflow_id",),
    **{verb.request: verb.required for verb in VERBS},
}


def check(value: object) -> None:
    """Refuse a message that cannot be meant.

    Raises:
        ValueError: with the field's name, and what is expected there.
    """
    _check(value, "")


def _check(value: object, where: str) -> None:
    if isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, float):
        if not math.isfinite(value) or not -MAX_SECONDS <= value <= MAX_SECONDS:
            raise ValueError(f"{where}: a number of at most {MAX_SECONDS:.0f} is expected")
    elif isinstance(value, int):
        if not -MAX_WHOLE <= value < MAX_WHOLE:
            raise ValueError(f"{where}: the number is too large")
    elif isinstance(value, tuple | list):
        for item in value:
            _check(item, where)
    elif dataclasses.is_dataclass(value):
        _check_message(value, where)


def _check_message(message: object, where: str) -> None:
    for field in dataclasses.fields(message):  # type: ignore[arg-type]
        _check(getattr(message, field.name), f"{where}.{field.name}" if where else field.name)
    for name in _REQUIRED.get(type(message), ()):
        if not getattr(message, name).strip():
            raise ValueError(f"{name}: it is empty")
    if isinstance(message, RunPolicy):
        _check_policy(message, where)
    elif isinstance(message, WatchConditions):
        for field in dataclasses.fields(message):
            if getattr(message, field.name) < 0:
                raise ValueError(f"{where}.{field.name}: it is negative")


def _check_policy(policy: RunPolicy, where: str) -> None:
    for name in ("heartbeat_timeout_s", "light_timeout_s", "shard_timeout_s"):
        if getattr(policy, name) <= 0:
            raise ValueError(f"{where}.{name}: it must be more than 0")
    if not 1 <= policy.window <= MAX_WINDOW:
        raise ValueError(f"{where}.window: it must be 1 to {MAX_WINDOW}")
    for name in ("max_attempts", "steps_per_history"):
        if getattr(policy, name) < 0:
            raise ValueError(f"{where}.{name}: it is negative")


def _check_text(text: str, where: str) -> None:
    name = where.rpartition(".")[2]
    longest = MAX_NAME if name in _NAMES else MAX_ID if name in _IDS else MAX_TEXT
    if len(text) > longest:
        raise ValueError(f"{where}: it is longer than {longest:,} characters")

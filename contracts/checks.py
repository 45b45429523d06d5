"""Every message from outside is checked here: each field has its form, and what is asked can be meant.

A type says what a field is; a number that is no number, a wait of a thousand years or a name of a megabyte are of the
right type. A request that cannot be meant is refused before anything is begun (transport/converter.py).
"""

import dataclasses
from collections.abc import Iterator
from typing import Final

from holdfast.contracts.common import RunPolicy
from holdfast.contracts.forms import misformed
from holdfast.contracts.verbs import VERBS

MAX_WINDOW: Final = 4_096
_REQUIRED: Final = {"WatchOrder": ("workflow_id",), **{verb.asks: verb.required for verb in VERBS}}
"""By the names of messages: the messages of a verb are loaded where they are needed."""


def check(value: object) -> None:
    """Refuse a message that is not of its form, or cannot be meant.

    Raises:
        ValueError: with the field's name, and what is expected there.
    """
    if not dataclasses.is_dataclass(value):
        return
    wrong = misformed(value)
    if wrong:
        raise ValueError(f"{wrong}: it is not of its form")
    for message in _messages(value):
        for name in _REQUIRED.get(type(message).__name__, ()):
            if not getattr(message, name).strip():
                raise ValueError(f"{name}: it is empty")
        if isinstance(message, RunPolicy):
            _check_policy(message)


def _messages(value: object) -> Iterator[object]:
    """The message and those in it."""
    if dataclasses.is_dataclass(value):
        yield value
        for field in dataclasses.fields(value):
            yield from _messages(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _messages(item)


def _check_policy(policy: RunPolicy) -> None:
    for name in ("heartbeat_timeout_s", "light_timeout_s", "shard_timeout_s"):
        if getattr(policy, name) <= 0:
            raise ValueError(f"{name}: it must be more than 0")
    if not 1 <= policy.window <= MAX_WINDOW:
        raise ValueError(f"window: it must be 1 to {MAX_WINDOW}")

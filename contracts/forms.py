"""The form of every text and number in a message, in one place: it is looked at before any of them is used.

Messages come from a server that others may reach, so their types alone say little: a label with "../" in it is text as
well. Each field that holds text has its form here, by the field's name; a field without one is refused, and a test
sees to it that none lacks one. What a well-formed name *means* is for the settings of the worker to say.
"""

import dataclasses
import re
from enum import Enum
from typing import Final

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_REQUEST: Final = r"@[0-9a-f]{32}"
_ID: Final = r"[0-9a-f]{64}"
_LONGEST: Final = 1 << 63
_LONGEST_S: Final = 100 * 366 * 86_400.0

NAME: Final = re.compile(_NAME, re.ASCII)
"""Of what the settings declare: hooks, systems. It has no "/" and does not begin with a dot."""
_OPTIONAL_NAME: Final = re.compile(rf"(?:{_NAME})?", re.ASCII)
_NAME_OR_TOKEN: Final = re.compile(rf"(?:{_NAME}|{_REQUEST})?", re.ASCII)
_OPTIONAL_TOKEN: Final = re.compile(rf"(?:{_REQUEST})?", re.ASCII)
"""Of a private request file."""
LABEL: Final = re.compile(rf"{_NAME}(?:@{_NAME})?", re.ASCII)
"""Of a system's member, "db" or "db@host1": it becomes the name of a folder."""
SNAPSHOT: Final = re.compile(_ID, re.ASCII)
"""A whole id: no beginning of one, and no subfolder behind it."""
_OPTIONAL_SNAPSHOT: Final = re.compile(rf"(?:{_ID})?", re.ASCII)
_SNAPSHOT_WORD: Final = re.compile(r"(?:latest|[0-9a-f]{0,64})", re.ASCII)
_SHARE: Final = re.compile(r"[0-9A-Za-z.%/]{0,32}", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z0-9_.-]{0,100}", re.ASCII)
_CLOCK: Final = re.compile(r"[0-9:]{0,5}", re.ASCII)
_LINE: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,1000}")
_HOST: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,255}")
"""A workflow's id, which holds it between other names, has at most 1,000 bytes."""
_TAG: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff,]{1,255}")
_TEXT: Final = re.compile(r"[^\x00\ud800-\udfff]{0,8192}")

FORMS: Final = {
    # Names that the worker's settings resolve, and tokens of files that only its user can write.
    "repository": _NAME_OR_TOKEN,
    "repositories": _NAME_OR_TOKEN,
    "source": _NAME_OR_TOKEN,
    "selection": _OPTIONAL_TOKEN,
    "verification": _OPTIONAL_TOKEN,
    "missing_selection": _OPTIONAL_TOKEN,
    "damaged_selection": _OPTIONAL_TOKEN,
    "target": _OPTIONAL_TOKEN,
    "order": _OPTIONAL_TOKEN,
    "to_command": _OPTIONAL_NAME,
    "drill": _OPTIONAL_NAME,
    "system": _OPTIONAL_NAME,
    "name": NAME,
    "label": LABEL,
    "member": LABEL,
    # Ids.
    "snapshot_id": _OPTIONAL_SNAPSHOT,
    "finished_snapshot": _OPTIONAL_SNAPSHOT,
    "snapshots": SNAPSHOT,
    "first_affected": SNAPSHOT,
    "first_repaired": SNAPSHOT,
    "first_new": SNAPSHOT,
    "snapshot": _SNAPSHOT_WORD,
    "ahead": _SNAPSHOT_WORD,
    "latest": _SNAPSHOT_WORD,
    "parent": _SNAPSHOT_WORD,
    "run_id": _LINE,
    "attempt": _LINE,
    "began": _LINE,
    "resume_run": _LINE,
    "restore_run": _LINE,
    "system_run": _LINE,
    "workflow_id": _LINE,
    "schedule": _LINE,
    "host": _HOST,
    "target_host": _HOST,
    "queue": _LINE,
    "tags": _TAG,
    # Of warrants and of admission (contracts/warrant.py).
    "run": _LINE,
    "once": _LINE,
    "starts": _LINE,
    "purposes": _LINE,
    "spent": _LINE,
    # Words out of a few, which their own parsers know.
    "share": _SHARE,
    "sample": _SHARE,
    "seed": _WORD,
    "kind": _WORD,
    "failure_kind": _WORD,
    "on_missing": _WORD,
    "on_damaged": _WORD,
    "outcome": _WORD,
    "strategy": _WORD,
    "waiting": _TEXT,
    "max_unused": _SHARE,
    "alias": _WORD,
    "start": _CLOCK,
    "end": _CLOCK,
    # What people said: shown and recorded, never looked up.
    "by": _TEXT,
    "reason": _TEXT,
    "what_for": _TEXT,
    "waits_for": _TEXT,
    "evidence": _TEXT,
    "alarm": _TEXT,
    "failure": _TEXT,
    "failure_message": _TEXT,
    "restore_failure": _TEXT,
    "first_problem_kind": _TEXT,
    # Sources and schedules, by their names.
    "called": _LINE,
    "ask": _TEXT,
    "decided": _TEXT,
    "refused": _TEXT,
    "holders": _LINE,
    "known": _LINE,
    "stayed": _LINE,
    "standing": _LINE,
    "seen": _LINE,
    "told": _LINE,
    "missed": _LINE,
    "waiting_told": _LINE,
}
_SIGNED: Final = frozenset(("exit_code",))
"""Numbers that may be negative: a process that a signal ended has such a code."""


def misformed(message: object) -> str:
    """The first field of a message (a dataclass of contracts) that is not of its form, as "member.label"; else ""."""
    for name in message.__dataclass_fields__:  # type: ignore[attr-defined]  # what `fields` looks through each time
        wrong = _wrong(name, getattr(message, name))
        if wrong is not None:
            return f"{name}.{wrong}" if wrong else name
    return ""


def _wrong(name: str, value: object) -> str | None:
    """Where a value is not of its form: "" for the value itself, None when it is."""
    if value is None or isinstance(value, bool | Enum):
        return None
    if isinstance(value, str):
        form = FORMS.get(name)
        return None if form is not None and form.fullmatch(value) else ""
    if isinstance(value, int):
        return None if -_LONGEST <= value < _LONGEST and (value >= 0 or name in _SIGNED) else ""
    if isinstance(value, float):
        return None if 0.0 <= value <= _LONGEST_S else ""
    if isinstance(value, tuple):
        return next((wrong for one in value if (wrong := _wrong(name, one)) is not None), None)
    if isinstance(value, dict):
        entries = (*value, *value.values())
        return next((wrong for one in entries if (wrong := _wrong(name, one)) is not None), None)
    return (misformed(value) or None) if dataclasses.is_dataclass(value) else ""

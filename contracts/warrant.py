"""A warrant says what a signed value may be used for; it is signed with it, and stands beside it in its metadata.

A signature says that a value was made by a holder of the installation's key, for one workflow or one activity
(transport/places.py). What was signed once stays in a history that others can read, so a value that asks for something
also says what for, until when, and that it counts once:

- purposes: one of the words below with a name: `start Backup`, `update pause`, `result`. Nothing else may be done
  with the value.
- until_s: what is asked is begun before this moment by the server's clock (seconds since 1970), or not at all.
- once: a word that is used up by what it asks for.
- run: the run that it is meant for, or comes from. Of a child or a continued run, the run that began it.
- spent: what a continued run must not take again, with the moment until which it could be tried.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

START: Final = "start"
CHILD: Final = "child"
CONTINUED: Final = "continued"
SCHEDULE: Final = "schedule"
SIGNAL: Final = "signal"
UPDATE: Final = "update"
QUERY: Final = "query"
RESULT: Final = "result"
ANSWER: Final = "answer"

ADMIT: Final = "admit"
"""The local activity with which a run begins."""
ADMITTED: Final = "admitted"
PROMPT_S: Final = 600
"""A request to a server arrives within that time, whatever the two clocks say."""
PATIENT_S: Final = 7 * 86_400
"""A signal, or a run that was started, waits so long for workers."""

UNTRUSTED: Final = "UntrustedError"
"""The kind of failure (holdfast.errors) of what bears no signature, or another's."""
MALFORMED: Final = "UsageError"
"""The kind of failure of what cannot be read."""

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Warrant:
    """See above. What is empty, or 0, is not limited."""

    purposes: tuple[str, ...]
    run: str = ""
    until_s: int = 0
    once: str = ""
    spent: tuple[tuple[str, int], ...] = ()

    def to_json(self) -> bytes:
        """For the metadata of a payload."""
        document: dict[str, object] = {"for": self.purposes}
        if self.run:
            document["run"] = self.run
        if self.until_s:
            document["until"] = self.until_s
        if self.once:
            document["once"] = self.once
        if self.spent:
            document["spent"] = dict(self.spent)
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, document: bytes) -> "Warrant":
        """Parse what `to_json` wrote; a holder of the key wrote it.

        Raises:
            ValueError: it is something else.
        """
        parsed = json.loads(document)
        try:
            return cls(
                purposes=tuple(_text(word) for word in parsed["for"]),
                run=_text(parsed.get("run", "")),
                until_s=_whole(parsed.get("until", 0)),
                once=_text(parsed.get("once", "")),
                spent=tuple((_text(once), _whole(until)) for once, until in parsed.get("spent", {}).items()),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("a warrant has other fields") from error


class Warranted:
    """A message whose warrant is of interest where it arrives. It is no field: a changed copy has none."""

    __slots__ = ("_warrant",)

    @property
    def warrant(self) -> Warrant | None:
        """The warrant that it came with; None when it came without, or was made here."""
        found = getattr(self, "_warrant", None)
        return found if isinstance(found, Warrant) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """A value that is about to be sent with a warrant."""

    value: Any
    warrant: Warrant


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Stands in the place of a value that was not accepted. kind: UNTRUSTED or MALFORMED."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmitInput:
    """Asks whether a run may begin. once: what it uses up. run: its own id.

    schedule: the workflow's id, if a schedule started it; starts: the id of the run that it is to start.
    """

    once: str
    until_s: int
    run: str
    schedule: str = ""
    starts: str = ""


def bear(value: ValueT, warrant: Warrant) -> ValueT:
    """Give a value the warrant that it came with, if it can bear one."""
    if isinstance(value, Warranted):
        object.__setattr__(value, "_warrant", warrant)
    return value


def warrant_of(values: Sequence[object]) -> Warrant | None:
    """The warrant of what was asked: of the first of the arguments."""
    first = values[0] if values else None
    return first.warrant if isinstance(first, Warranted) else None


def purpose(word: str, name: str) -> str:
    """The words with which a warrant says what it is for."""
    return f"{word} {name}"


def still_spent(spent: Iterable[tuple[str, int]], now_s: float) -> dict[str, int]:
    """Those that could still be tried again."""
    return {once: until_s for once, until_s in spent if until_s >= now_s}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text is expected")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a whole number is expected")
    return value

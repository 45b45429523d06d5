"""What an open run waits for, as a value: one word for the reason, what is known of it, and what a person can do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from holdfast.contracts.waiting import WaitsFor

_NEXT: Final[Mapping[WaitsFor, str]] = {
    WaitsFor.PAUSED: "`holdfast resume` lets it go on.",
    WaitsFor.APPROVAL: "`holdfast approve` decides.",
    WaitsFor.NO_WORKER: "Start `holdfast up`, or `holdfast worker` where the server is another's.",
    WaitsFor.SERVER_AWAY: "See to the server; runs go on by themselves when it is back.",
    WaitsFor.THROTTLE: "`holdfast throttle` changes it.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What an open run waits for. detail: in words, on one line. next_step: what a person can do, or empty.

    attempts: how often a failing step was tried; 0 where none fails. Paths are as they passed the server, until a
    reader who may see them puts them back.
    """

    what: WaitsFor
    detail: str = ""
    next_step: str = ""
    attempts: int = 0

    @property
    def stands(self) -> bool:
        """Whether the run stands still: one that keeps to its throttle does not."""
        return self.what is not WaitsFor.THROTTLE

    @property
    def words(self) -> str:
        """`full disk: no space left on the storage (tried 4 times)`."""
        tried = f"(tried {self.attempts:,} times)" if self.attempts > 1 else ""
        said = " ".join(filter(None, (self.detail, tried)))
        return f"{self.what.words}: {said}" if said else self.what.words

    @property
    def in_full(self) -> str:
        """The words and the next step, as sentences."""
        return f"{self.words}. {self.next_step}" if self.next_step else self.words

    def told(self, reader: Callable[[str], str]) -> "Wait":
        """The same for a reader: with the paths that he may see, or with words in their place."""
        return replace(self, detail=reader(self.detail), next_step=reader(self.next_step))

    @property
    def document(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "what": self.what.value,
            "detail": self.detail,
            "next_step": self.next_step,
            "attempts": self.attempts,
        }


def wait_for(what: WaitsFor, detail: str = "") -> Wait:
    """A wait with the next step that such waits have in common."""
    return Wait(what=what, detail=detail, next_step=_NEXT.get(what, ""))

"""Which attempt at a piece of work may go on: the newest one, as long as its run is open. One rule for all verbs.

Each attempt claims the next number by creating its mark (create-if-absent, so two never share one). Temporal's attempt
number would not do: it begins at 1 again when a run is resumed.

    1. attempt 0 is frozen (SIGSTOP, a stalled mount), its heartbeat times out;
    2. attempt 1 claims its number and does the work; or the run is closed, and its documents go;
    3. attempt 0 wakes up and looks: there is a mark of a later number, or its own is gone. It stops and leaves
       everything as it is.

That the own mark is gone is asked of the mark itself, not of the listing: a listing may still show what was deleted.
An attempt whose claim was answered by "taken", because the answer to its own first request was lost, claims one number
more: it counts as repeated then, which costs a look at what an earlier attempt may have left.
"""

from holdfast.errors import FencedError, RunClosedError
from holdfast.repository.sealed_folder import SealedFolder

_DIGITS = 6


class Fence:
    """One attempt among those at `work`. Their marks are the documents `<folder>/<prefix><number>`."""

    def __init__(self, documents: SealedFolder, folder: str, prefix: str, *, work: str) -> None:
        """work: what it is called in messages."""
        self.number = -1
        self._documents = documents
        self._folder = folder
        self._prefix = f"{folder}/{prefix}"
        self._work = work

    def claim(self, mark: bytes) -> int:
        """Become the newest attempt; its number. mark: what the document of this attempt holds."""
        number = max(self.numbers(), default=-1) + 1
        while not self._documents.put_new(self.mark_name(number), mark):
            number += 1
        self.number = number
        return number

    def check(self) -> None:
        """Go on only as the newest attempt of an open run.

        Raises:
            FencedError: a newer one has begun, or the run is over.
        """
        if max(self.numbers(), default=-1) > self.number:
            raise FencedError(f"{self._work} is in the hands of a newer attempt")
        if not self._documents.has(self.mark_name(self.number)):
            raise RunClosedError(f"{self._work} is over: its run was closed")

    def numbers(self) -> list[int]:
        """The numbers of all attempts that have claimed one, in any order."""
        start = len(self._prefix)
        return [
            int(name[start:]) for name in self._documents.list(self._folder) if name.startswith(self._prefix)
        ]

    def mark_name(self, number: int) -> str:
        """The document of an attempt."""
        return f"{self._prefix}{number:0{_DIGITS}d}"

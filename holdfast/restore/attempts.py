"""Which attempt at a piece of work may go on: the newest one.

Each attempt creates the next number of its scope (create-if-absent, so two never share one; Temporal's own number
begins at 1 again when a run is resumed). Before names change on disk an attempt looks whether it is still the newest:

    1. attempt 0 is frozen (SIGSTOP, a stalled mount), its heartbeat times out;
    2. attempt 1 begins, creates its number, does the work;
    3. attempt 0 wakes up, looks, finds number 1, or the whole workspace gone: it stops and leaves everything as it is.
"""

import secrets
from typing import Final

from holdfast.errors import FencedError
from holdfast.repository.workspace import Workspace

_FOLDER: Final = "attempts"
_TOKEN_BYTES: Final = 4


class Attempt:
    """One attempt at `scope` (a shard, or the finish)."""

    def __init__(self, workspace: Workspace, scope: str) -> None:
        self.token = secrets.token_hex(_TOKEN_BYTES)
        self._workspace = workspace
        self._scope = scope
        numbers = self._numbers()
        number = max(numbers, default=-1) + 1
        while not workspace.put_new(self._name(number), self.token.encode()):
            number += 1
        self.number = number

    def check(self) -> None:
        """Go on only as the newest attempt.

        Raises:
            FencedError: a newer one has begun, or the run is over.
        """
        if max(self._numbers(), default=-1) != self.number:
            raise FencedError(f"{self._scope} of the restore is in the hands of a newer attempt")

    def _name(self, number: int) -> str:
        return f"{_FOLDER}/{self._scope}/{number:06d}"

    def _numbers(self) -> list[int]:
        return [int(name.rpartition("/")[2]) for name in self._workspace.list(f"{_FOLDER}/{self._scope}")]


def any_repeated(workspace: Workspace) -> bool:
    """Whether anything in the run was tried more than once, so that temporary files may lie around."""
    return any(int(name.rpartition("/")[2]) > 0 for name in workspace.list(_FOLDER))

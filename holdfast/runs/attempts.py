"""One attempt at a piece of a run's work, and whether it may go on. One rule for all verbs.

Each attempt claims the next number by creating its mark (create-if-absent, so two never share one). Temporal's attempt
number would not do: it begins at 1 again when a run is resumed.

    1. attempt 0 is frozen (SIGSTOP, a stalled mount), its heartbeat times out;
    2. attempt 1 claims its number and does the work, from the newest checkpoint on; or the run is closed, and its
       documents go;
    3. attempt 0 wakes up and looks: there is a mark of a later number, or its own is gone. It stops and leaves
       everything as it is.

That the own mark is gone is asked of the mark itself, not of the listing: a listing may still show what was deleted.
An attempt whose claim was answered by "taken", because the answer to its own first request was lost, claims one number
more: it counts as repeated then, which costs a look at what an earlier attempt may have left.

The documents of the attempts at `scope` (a shard, a finish):

    attempts/<scope>/mark-<n>      attempt n has begun; what it holds is the verb's affair
    attempts/<scope>/cp-<n>-<m>    its checkpoint m, from which a later attempt goes on; one, or for a moment two
"""

import secrets
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from holdfast.errors import FencedError, RunClosedError
from holdfast.repository.documents import DocumentT, encode, load
from holdfast.runs.workspace import Workspace

ATTEMPTS: Final = "attempts"
_MARK: Final = "mark-"
_CHECKPOINT: Final = "cp-"
_DIGITS: Final = 6
_TOKEN_BYTES: Final = 4


class Attempt:
    """One attempt at `scope`. number: among those at it, from 0. token: for names of what is this attempt's alone."""

    def __init__(self, workspace: Workspace, scope: str, *, folder: str = "") -> None:
        """folder: in front of all names; see `Plan`."""
        self.number = -1
        self.token = secrets.token_hex(_TOKEN_BYTES)
        self._workspace = workspace
        self._scope = scope
        self._folder = f"{folder}{ATTEMPTS}/{scope}"
        self._sequence = 0
        self._saved: list[str] = []

    def claim(self, mark: bytes = b"") -> None:
        """Become the newest attempt. mark: what the document of this attempt holds."""
        self._claim(self._names(), mark)

    def resume(self, kind: type[DocumentT], mark: Callable[[DocumentT | None], bytes]) -> DocumentT | None:
        """Become the newest attempt; the checkpoint to go on from, if there is one."""
        names = self._names()
        newest = max((name for name in names if name.startswith(_CHECKPOINT)), default=None)
        checkpoint = None if newest is None else load(self._workspace, self._path(newest), kind)
        self._claim(names, mark(checkpoint))
        return checkpoint

    def check(self) -> None:
        """Go on only as the newest attempt of an open run.

        Raises:
            FencedError: a newer one has begun, or the run is over.
        """
        if max(_numbers(self._names()), default=-1) > self.number:
            raise FencedError(f"{self._scope} is in the hands of a newer attempt")
        if not self._workspace.has(self._mark_name(self.number)):
            raise RunClosedError(f"{self._scope} is over: its run was closed")

    def save(self, checkpoint: msgspec.Struct) -> None:
        """Make a checkpoint durable, then drop this attempt's earlier ones.

        Raises:
            FencedError: as `check`.
        """
        self.check()
        name = self._path(f"{_CHECKPOINT}{self.number:0{_DIGITS}d}-{self._sequence:0{_DIGITS}d}")
        self._sequence += 1
        self._workspace.put(name, encode(checkpoint))
        superseded, self._saved = self._saved, [name]
        self._workspace.remove_many(superseded)

    def drop_checkpoints(self) -> None:
        """Drop all checkpoints, of other attempts too: the result stands, or what they speak of is gone."""
        if self.number != 0:  # the first attempt has seen that there were none
            self._saved = [self._path(name) for name in self._names() if name.startswith(_CHECKPOINT)]
        self._workspace.remove_many(self._saved)
        self._saved = []

    def mark(self, mark: bytes) -> None:
        """Write this attempt's mark again."""
        self._workspace.put(self._mark_name(self.number), mark)

    def marks(self, kind: type[DocumentT]) -> Iterator[tuple[int, DocumentT]]:
        """The marks of all attempts with their numbers, in any order."""
        for number in _numbers(self._names()):
            mark = load(self._workspace, self._mark_name(number), kind)
            if mark is not None:
                yield number, mark

    def _claim(self, names: list[str], mark: bytes) -> None:
        number = max(_numbers(names), default=-1) + 1
        while not self._workspace.put_new(self._mark_name(number), mark):
            number += 1
        self.number = number

    def _names(self) -> list[str]:
        start = len(self._folder) + 1
        return [name[start:] for name in self._workspace.list(self._folder)]

    def _mark_name(self, number: int) -> str:
        return self._path(f"{_MARK}{number:0{_DIGITS}d}")

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"


def any_repeated(workspace: Workspace) -> bool:
    """Whether anything in the run was tried more than once, so that temporary files may lie around."""
    names = [name.rpartition("/")[2] for name in workspace.list(ATTEMPTS)]
    return any(_numbers(names))


def _numbers(names: list[str]) -> list[int]:
    return [int(name[len(_MARK) :]) for name in names if name.startswith(_MARK)]

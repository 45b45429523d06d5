"""What a verification found."""

from enum import StrEnum
from typing import Final

import msgspec

from holdfast.terms import VerifyLevel


class ProblemKind(StrEnum):
    """What is wrong with a stored thing."""

    BLOB_MISSING = "blob missing from the index"
    TREE_UNREADABLE = "tree unreadable"
    PACK_MISSING = "pack missing"
    PACK_SIZE = "pack has the wrong size"
    PACK_DAMAGED = "pack damaged"
    FILE_SIZE = "file size differs from its blobs"
    CONTENT_LOST = "content lost: blob"
    INDEX_UNREADABLE = "index file unreadable"
    SNAPSHOT_UNREADABLE = "snapshot unreadable"
    KEY_UNREADABLE = "key unreadable"


PACK_PROBLEMS: Final = frozenset((ProblemKind.PACK_MISSING, ProblemKind.PACK_SIZE, ProblemKind.PACK_DAMAGED))


class Problem(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One finding. what: a pack or blob id in hex; path: what it affects; CONTENT_LOST names those of packs."""

    kind: ProblemKind
    what: str
    path: bytes = b""


class VerifyReport(msgspec.Struct, kw_only=True):
    """Counts and findings. Findings are capped at MAX_PROBLEMS; `problem_count` counts on."""

    level: VerifyLevel
    blobs: int = 0
    packs: int = 0
    files: int = 0
    bytes_read: int = 0
    problem_count: int = 0
    problems: list[Problem] = []

    @property
    def ok(self) -> bool:
        return self.problem_count == 0

    def add(self, problem: Problem) -> None:
        self.problem_count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


MAX_PROBLEMS = 10_000

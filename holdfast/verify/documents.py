"""The documents of a verification in its run workspace.

plan                     what is verified; created once, after the shards that it speaks of
shards-<nonce>/<number>  the packs of one shard; the plan says which nonce counts
roots                    the trees to walk, where only a folder of a snapshot is meant
structure                what the walk of the trees found
reached/<number>         how far an attempt at a shard came; its packs are read in their order
result/<number>          what reading the shard's packs found
report                   what all of it comes to: the last word
"""

from typing import Final

import msgspec

from holdfast.terms import VerifyLevel
from holdfast.verify.report import Problem, ProblemKind, VerifyReport

PLAN: Final = "plan"
ROOTS: Final = "roots"
STRUCTURE: Final = "structure"
REPORT: Final = "report"


class VerifyOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which snapshots: "latest", ids or beginnings of ids, each with ":folder" or without; without any, all that the
    filters let pass.

    ignore_damaged: let "latest" be the newest of those that can be read.
    """

    snapshots: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    ignore_damaged: bool = False


class Roots(msgspec.Struct, frozen=True, kw_only=True):
    """The trees of the chosen snapshots, or of folders in them."""

    trees: tuple[bytes, ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is verified. snapshots: only these; empty for the whole repository."""

    nonce: str
    snapshots: tuple[bytes, ...] = ()
    shards: int = 0
    packs: int = 0
    size_bytes: int = 0
    packs_of_repository: int = 0


class PlannedPack(msgspec.Struct, frozen=True, array_like=True):
    """One pack to read."""

    id: bytes
    size_bytes: int
    blobs: int


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """The packs of one shard."""

    packs: tuple[PlannedPack, ...]


class ShardResult(msgspec.Struct, frozen=True, kw_only=True):
    """What reading a shard's packs found; or its first packs, where it tells how far an attempt came."""

    packs: int = 0
    blobs: int = 0
    bytes_read: int = 0
    damaged: tuple[bytes, ...] = ()


class Finding(msgspec.Struct, frozen=True, array_like=True):
    """A problem of holdfast.verify.report."""

    kind: str
    what: str
    path: bytes = b""


class StructureResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the walk found. needed: the packs that the chosen snapshots need, one id after the other."""

    blobs: int
    files: int
    problem_count: int
    findings: tuple[Finding, ...] = ()
    needed: bytes = b""


class LostPath(msgspec.Struct, frozen=True, kw_only=True):
    """A path that cannot be had whole from some snapshots: how many, and the newest of them.

    blob: the first that it lacks, in hex. whole: it is a directory, and what is below it is lost with it.
    """

    path: bytes
    size_bytes: int
    snapshots: int
    newest: str
    blob: str
    whole: bool = False


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome. lost, findings: capped; the counts are not."""

    blobs: int
    packs: int
    files: int
    bytes_read: int
    problem_count: int
    findings: tuple[Finding, ...] = ()
    lost: tuple[LostPath, ...] = ()
    lost_count: int = 0
    affected_snapshots: tuple[bytes, ...] = ()
    damaged_packs: int = 0
    damaged_blobs: int = 0
    mended_packs: int = 0

    def as_verify_report(self, level: VerifyLevel) -> VerifyReport:
        """The same, as verifications of one snapshot report it."""
        return VerifyReport(
            level=level,
            blobs=self.blobs,
            packs=self.packs,
            files=self.files,
            bytes_read=self.bytes_read,
            problem_count=self.problem_count,
            problems=[
                Problem(kind=ProblemKind(found.kind), what=found.what, path=found.path)
                for found in self.findings
            ],
        )


def findings_of(report: VerifyReport) -> tuple[Finding, ...]:
    """The problems of a report as documents hold them."""
    return tuple(Finding(problem.kind.value, problem.what, problem.path) for problem in report.problems)


def shard_name(nonce: str, number: int) -> str:
    """The document of a planned shard."""
    return f"shards-{nonce}/{number:06}"


def reached_name(number: int) -> str:
    """The document that says how far a shard has come."""
    return f"reached/{number:06}"


def result_name(number: int) -> str:
    """The document of a shard's result."""
    return f"result/{number:06}"

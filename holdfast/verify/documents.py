"""The documents of a verification in its run workspace, beside those of each plan (runs/plan.py).

opening                  what is verified: the snapshots, or folders in them (created once)
pages/0, plans/, shards/ the only page of the plan: packs, cut into shards, and what reading them found
structure                what the walk of the trees found (created once)
report                   what all of it comes to: the last word (created once)

The checkpoint of an attempt at a shard is the result of the packs before it: they are read in their order.
"""

from typing import Final, TypeAlias

import msgspec

from holdfast.repository.choice import ALL, Choice
from holdfast.runs import plan
from holdfast.runs.run import Run
from holdfast.verify.report import VerifyReport

STRUCTURE: Final = "structure"
REPORT: Final = "report"


class VerifyOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which snapshots: "latest", ids or beginnings of ids, each with ":folder" or without; without any, all that the
    filters let pass.

    ignore_damaged: let "latest" be the newest of those that can be read.
    """

    snapshots: tuple[str, ...] = ()
    which: Choice = ALL
    ignore_damaged: bool = False


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What is verified, decided when the run began. snapshots: only these; empty for the whole repository.

    trees: those to walk instead of the snapshots' own, where only folders of them are meant. latest: the snapshot that
    "latest" was taken for although others are dated in the future (`ahead`); else empty.
    """

    snapshots: tuple[bytes, ...] = ()
    trees: tuple[bytes, ...] = ()
    latest: bytes = b""
    ahead: tuple[bytes, ...] = ()


class Page(plan.Page, frozen=True, kw_only=True):
    """The only page of the plan. packs, size_bytes: of those to read."""

    packs: int = 0
    size_bytes: int = 0
    packs_of_repository: int = 0


class PlannedPack(msgspec.Struct, frozen=True, array_like=True):
    """One pack to read."""

    id: bytes
    size_bytes: int
    blobs: int


class ShardPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The packs of one shard."""

    packs: tuple[PlannedPack, ...]


class ShardResult(msgspec.Struct, frozen=True, kw_only=True):
    """What reading a shard's packs found; or its first packs, where it tells how far an attempt came."""

    packs: int = 0
    blobs: int = 0
    bytes_read: int = 0
    damaged: tuple[bytes, ...] = ()


class StructureResult(VerifyReport, kw_only=True):
    """What the walk found. needed: the packs that the chosen snapshots need, one id after the other."""

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


class Report(VerifyReport, kw_only=True):
    """The outcome. lost: capped; `lost_count` counts on."""

    lost: tuple[LostPath, ...] = ()
    lost_count: int = 0
    affected_snapshots: tuple[bytes, ...] = ()
    damaged_packs: int = 0
    damaged_blobs: int = 0
    mended_packs: int = 0


VerifyPlan: TypeAlias = plan.Plan[Page, plan.NoRecord, ShardPlan, ShardResult]


class VerifyRun(Run):
    """One verification, as the calls of this package see it."""

    @property
    def plan(self) -> VerifyPlan:
        """The packs to read."""
        return plan.Plan(
            self.workspace, pages=Page, records=plan.NO_RECORDS, shards=ShardPlan, results=ShardResult
        )

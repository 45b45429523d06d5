"""One restore as the calls of this package see it: the repository under its lock, the request, documents and plan."""

from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from holdfast.repository.packs.loader import BlobLoader
from holdfast.repository.session import HeldRepository
from holdfast.restore.documents import Opening, Page, PlanRecord, ShardPlan, ShardResult
from holdfast.restore.request import RestoreOptions
from holdfast.runs.opening import load_opening
from holdfast.runs.plan import PageWriter, Plan
from holdfast.runs.workspace import Workspace
from holdfast.sizes import RestoreSizes
from holdfast.terms import RestoreTotals

RestorePlan: TypeAlias = Plan[Page, PlanRecord, ShardPlan, ShardResult]
RestoreWriter: TypeAlias = PageWriter[PlanRecord, ShardPlan]
_RECORDS: Final = msgspec.msgpack.Decoder(list[PlanRecord])


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRun:
    """What every call of a restore needs. Valid inside `with session.hold() as held`."""

    held: HeldRepository
    run_id: str
    options: RestoreOptions

    @property
    def workspace(self) -> Workspace:
        """The run's documents."""
        return Workspace(self.held.repository, self.run_id)

    @property
    def loader(self) -> BlobLoader:
        """What trees are read by. Ask once for each walk: where it is the store's, each has its own memory."""
        return self.held.loader_of_store() if self.options.from_store else self.held.loader

    @property
    def plan(self) -> RestorePlan:
        """The plan and its results."""
        return Plan(
            self.workspace,
            pages=Page,
            records=_RECORDS,
            shards=ShardPlan,
            results=ShardResult,
            part_records=self.sizes.part_records,
        )

    @property
    def opening(self) -> Opening:
        """The run's decisions. Raises RunClosedError: it was not opened, or it is over."""
        return load_opening(self.workspace, Opening)

    @property
    def sizes(self) -> RestoreSizes:
        """See holdfast/sizes.py."""
        return self.held.sizes.restore


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The tree stands; partial when any path failed, or lost something, in any step. counts: of the finish alone."""

    partial: bool
    errors_of_run: int
    counts: RestoreTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What reading back found; `problems` are the first of them, in full they are in the workspace."""

    ok: bool
    files: int
    blobs: int
    bytes_read: int
    problem_count: int
    problems: tuple[tuple[bytes, str], ...]

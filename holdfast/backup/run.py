"""One backup as the calls of this package see it: its documents, and its plan."""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import msgspec

from holdfast.backup.documents import Page, PlanRecord, ShardPlan, ShardResult
from holdfast.runs.plan import PageWriter, Plan
from holdfast.runs.run import Run

BackupPlan: TypeAlias = Plan[Page, PlanRecord, ShardPlan, ShardResult]
BackupWriter: TypeAlias = PageWriter[PlanRecord, ShardPlan]
_RECORDS: Final = msgspec.msgpack.Decoder(list[PlanRecord])


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRun(Run):
    """A run and its generation: 0, and one more after each rescan, with a plan of its own."""

    generation: int = 0

    @property
    def plan(self) -> BackupPlan:
        """The plan of this generation."""
        return Plan(
            self.workspace,
            pages=Page,
            records=_RECORDS,
            shards=ShardPlan,
            results=ShardResult,
            part_records=self.session.sizes.backup.part_records,
            folder=self.name(""),
        )

    def name(self, rest: str) -> str:
        """The name of a document of this generation."""
        return f"g{self.generation}/{rest}"

    def of_generation(self, generation: int) -> "BackupRun":
        """The same run in another generation."""
        return replace(self, generation=generation)

"""A run's plan and its shards' results, read back as one stream in walk order. One page part, one shard at a time."""

from collections.abc import Iterator
from typing import Final

import msgspec

from holdfast.backup.documents import (
    Outcome,
    Page,
    PlanRecord,
    Read,
    RunKey,
    ShardResult,
    StoreTotals,
    Totals,
    added,
)
from holdfast.errors import CorruptFileError, RunStateError
from holdfast.ids import PackId
from holdfast.repository.documents import load
from holdfast.runs.workspace import Workspace

_RECORDS: Final = msgspec.msgpack.Decoder(list[PlanRecord])


class ReadOutcome(msgspec.Struct, frozen=True, gc=False):
    """A planned file with what its shards made of it. shards: the number of the shard of each segment."""

    plan: Read
    outcomes: tuple[Outcome, ...]
    shards: tuple[int, ...]


class MissingShardError(RunStateError):
    """A shard has no result; it must be stored (again)."""

    def __init__(self, shard: int) -> None:
        super().__init__(f"shard {shard} has no result")
        self.shard = shard


class PlanReader:
    """Reads the plan of a run with `pages` pages and `shards` shards.

    selected, stored: the sums of the totals of what was read so far; whole once `merged` is exhausted. packs: so far,
    those that shards have stored, and which shard did.
    """

    def __init__(self, workspace: Workspace, key: RunKey, pages: int, shards: int) -> None:
        self._workspace = workspace
        self._key = key
        self._pages = pages
        self._shards = shards
        self.selected = Totals()
        self.stored = StoreTotals()
        self.packs: dict[PackId, int] = {}

    def records(self) -> Iterator[PlanRecord]:
        """All plan records, in walk order.

        Raises:
            RunStateError: a page or a part of it is gone.
            CorruptFileError: a document cannot be read.
        """
        for number in range(self._pages):
            page = load(self._workspace, self._key.page(number), Page)
            if page is None:
                raise RunStateError(f"page {number} of the run's plan is gone")
            self.selected = added(self.selected, page.totals)
            for part in range(page.parts):
                yield from self._part(self._key.plan_part(number, page.token, part))

    def merged(self) -> Iterator[PlanRecord | ReadOutcome]:
        """The plan with the outcome of each file in the place of its `Read` record.

        Raises:
            MissingShardError: a shard has no result.
        """
        outcomes = self._outcomes()
        for record in self.records():
            if type(record) is Read:
                if record.segments == 1:
                    shard, outcome = next(outcomes)
                    yield ReadOutcome(record, (outcome,), (shard,))
                    continue
                pairs = [next(outcomes) for _ in range(record.segments)]
                yield ReadOutcome(record, tuple(o for _, o in pairs), tuple(s for s, _ in pairs))
            else:
                yield record

    def result(self, shard: int) -> ShardResult:
        """A shard's result.

        Raises:
            MissingShardError: there is none.
        """
        result = load(self._workspace, self._key.shard(shard, "result"), ShardResult)
        if result is None:
            raise MissingShardError(shard)
        return result

    def _outcomes(self) -> Iterator[tuple[int, Outcome]]:
        for shard in range(self._shards):
            yield from self._of_shard(shard)
        raise RunStateError("the plan names more files than its shards have read")

    def _of_shard(self, shard: int) -> Iterator[tuple[int, Outcome]]:
        """Apart, so that one shard's outcomes are gone when the next one's are loaded."""
        result = self.result(shard)
        self.stored = added(self.stored, result.totals)
        self.packs.update((PackId(pack), shard) for pack in result.packs)
        for outcome in result.outcomes:
            yield shard, outcome

    def _part(self, name: str) -> list[PlanRecord]:
        data = self._workspace.get(name)
        if data is None:
            raise RunStateError("a part of the run's plan is gone")
        try:
            return _RECORDS.decode(data)
        except msgspec.MsgspecError as error:
            raise CorruptFileError(f"a part of the run's plan cannot be read: {error}") from error

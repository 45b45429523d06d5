"""A run's plan and its shards' results as one stream in walk order, both read ahead (runs/read_ahead.py)."""

from collections.abc import Iterator
from typing import Final

import msgspec

from holdfast.backup.documents import Outcome, PlanRecord, Read, ShardResult
from holdfast.backup.run import BackupRun
from holdfast.errors import RunStateError
from holdfast.ids import PackId
from holdfast.terms import SelectionTotals, StoredTotals

_STREAMS: Final = 2
"""Records and results are read beside each other."""


class ReadOutcome(msgspec.Struct, frozen=True, gc=False):
    """A planned file with what its shards made of it. shards: the number of the shard of each segment."""

    plan: Read
    outcomes: tuple[Outcome, ...]
    shards: tuple[int, ...]


class PlanReader:
    """Reads the plan of a run with `pages` pages and `shards` shards.

    selected, stored: the sums of the totals of what was read so far; whole once `merged` is exhausted. packs: so far,
    those that shards have stored, and which shard did.
    """

    def __init__(self, run: BackupRun, pages: int, shards: int) -> None:
        self._plan = run.plan
        self._pages = pages
        self._shards = shards
        self.selected = SelectionTotals()
        self.stored = StoredTotals()
        self.packs: dict[PackId, int] = {}

    def merged(self) -> Iterator[PlanRecord | ReadOutcome]:
        """The plan with the outcome of each file in the place of its `Read` record.

        Raises:
            MissingResultError: a shard has no result.
            RunStateError: a page or a part of it is gone.
            CorruptFileError: a document cannot be read.
        """
        pages = list(self._plan.pages(self._pages))
        for page in pages:
            self.selected = self.selected.plus(page.totals)
        outcomes = self._outcomes()
        for record in self._plan.records(pages, streams=_STREAMS):
            if type(record) is Read:
                if record.segments == 1:
                    shard, outcome = next(outcomes)
                    yield ReadOutcome(record, (outcome,), (shard,))
                    continue
                pairs = [next(outcomes) for _ in range(record.segments)]
                yield ReadOutcome(record, tuple(o for _, o in pairs), tuple(s for s, _ in pairs))
            else:
                yield record

    def _outcomes(self) -> Iterator[tuple[int, Outcome]]:
        results = self._plan.results(self._shards, streams=_STREAMS)
        for shard in range(self._shards):
            yield from self._of_shard(shard, next(results))
        raise RunStateError("the plan names more files than its shards have read")

    def _of_shard(self, shard: int, result: ShardResult) -> Iterator[tuple[int, Outcome]]:
        """Apart, so that one shard's outcomes are gone when the next one's are decoded."""
        self.stored = self.stored.plus(result.totals)
        self.packs.update((PackId(pack), shard) for pack in result.packs)
        for outcome in result.outcomes:
            yield shard, outcome

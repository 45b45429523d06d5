"""The plan of a run: pages of records and shards, decided one after the other; and what became of each shard.

Names of the documents, below a folder of the plan's own (a run may make its plan again; see backup/run.py):

    pages/<page>                  one page: its numbers, and where the next one goes on (created once: it decides)
    plans/<page>-<token>/part-…   records, in order (runs/parts.py)
    plans/<page>-<token>/shard-…  the plan of one shard
    shards/<shard>/origin         which page and token the shard belongs to
    shards/<shard>/result         what became of it (created once)

How a page is planned; any attempt may be killed at any step, or race with another one:

    1. a page that was decided is returned at once;
    2. the work goes on where the page before ended; records and shards are written under a fresh token, so that
       attempts which race write beside each other;
    3. the page's document is created if absent: an attempt that comes second takes the first
       one's, and drops its own plan;
    4. each shard gets its origin, a note under which token its plan lies. A crash between 3 and 4 is mended by the next
       attempt, which finds the page decided and writes the origins that are not there.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic, TypeVar

import msgspec

from holdfast.errors import HoldfastError, RunClosedError, RunStateError
from holdfast.repository.documents import DocumentT, decide, decode, encode, load
from holdfast.runs.attempts import Attempt
from holdfast.runs.elsewhere import check_here
from holdfast.runs.opening import OPENING, conclude
from holdfast.runs.parts import PartWriter, RecordT, read_parts
from holdfast.runs.read_ahead import read_ahead
from holdfast.runs.workspace import Workspace
from holdfast.storage.parallel import ask_all

_TOKEN_BYTES: Final = 8


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One decided page; verbs add what they count, and their cursor. Its plan lies under `token`."""

    token: str
    last: bool = True
    parts: int = 0
    first_shard: int = 0
    shards: int = 0

    @property
    def next_shard(self) -> int:
        """The number of the next page's first shard."""
        return self.first_shard + self.shards


class Leave(msgspec.Struct, frozen=True, array_like=True, tag="l", gc=False):
    """The record of plans that follow a tree: the innermost open directory ends."""


class NoRecord(msgspec.Struct, frozen=True):
    """The record of plans that consist of shards alone: there is none."""


NO_RECORDS: Final = msgspec.msgpack.Decoder(list[NoRecord])


class _Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where the plan of a shard lies."""

    page: int
    token: str


PageT = TypeVar("PageT", bound=Page)
ShardT = TypeVar("ShardT", bound=msgspec.Struct)
ResultT = TypeVar("ResultT", bound=msgspec.Struct)


class MissingResultError(RunStateError):
    """A shard has no result; its work must be done (again)."""

    def __init__(self, shard: int) -> None:
        super().__init__(f"shard {shard} of the run has no result")
        self.shard = shard


class PageWriter(PartWriter[RecordT], Generic[RecordT, ShardT]):
    """What one attempt writes for one page, in a place of its own. shards: how many there are so far."""

    def __init__(self, workspace: Workspace, folder: str, part_records: int, first_shard: int) -> None:
        self.token = secrets.token_hex(_TOKEN_BYTES)
        super().__init__(workspace, f"{folder}-{self.token}", part_records)
        self.first_shard = first_shard
        self.shards = 0

    @property
    def next_shard(self) -> int:
        """The number of the shard that is written next."""
        return self.first_shard + self.shards

    def write_shard(self, shard: ShardT) -> None:
        """Write the plan of the next shard."""
        self._workspace.put(_shard_name(self._folder, self.next_shard), encode(shard))
        self.shards += 1

    def write(self, name: str, document: msgspec.Struct) -> None:
        """Write something else about the page; see `Plan.beside`."""
        self._workspace.put(f"{self._folder}/{name}", encode(document))


class Plan(Generic[PageT, RecordT, ShardT, ResultT]):
    """The plan of a run, and the results of its shards. Everything may be asked of it from any thread."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        pages: type[PageT],
        records: msgspec.msgpack.Decoder[list[RecordT]],
        shards: type[ShardT],
        results: type[ResultT],
        part_records: int = 1,
        folder: str = "",
    ) -> None:
        """pages, records, shards, results: the verb's documents. folder: with a slash at its end, if any.

        part_records: how many records there are in one document.
        """
        self.workspace = workspace
        self.folder = folder
        self._pages = pages
        self._records = records
        self._shards = shards
        self._results = results
        self._part_records = part_records

    def select(
        self, number: int, plan_page: Callable[[PageWriter[RecordT, ShardT], PageT | None], PageT]
    ) -> PageT:
        """Plan one page, unless that was done; the page that stands. plan_page gets the page before as well.

        Raises:
            RunStateError: the page before is gone. RunClosedError: with all the run.
        """
        standing = load(self.workspace, self._page_name(number), self._pages)
        if standing is None:
            before = self.page(number - 1) if number else None
            first_shard = 0 if before is None else before.next_shard
            writer = PageWriter[RecordT, ShardT](
                self.workspace, self._folder_of(number), self._part_records, first_shard
            )
            standing = decide(self.workspace, self._page_name(number), plan_page(writer, before))
        origin = encode(_Origin(page=number, token=standing.token))

        def write_origin(shard: int) -> bool:
            return self.workspace.put_new(self._name_of_shard(shard, "origin"), origin)

        shards = range(standing.first_shard, standing.next_shard)
        ask_all(self.workspace.repository.workspaces, write_origin, shards)
        return standing

    def page(self, number: int) -> PageT:
        """A decided page.

        Raises:
            RunStateError: it is not there. RunClosedError: the run is over.
        """
        page = load(self.workspace, self._page_name(number), self._pages)
        if page is None:
            raise self._gone(f"page {number} of the run's plan")
        return page

    def pages(self, count: int) -> Iterator[PageT]:
        """The first `count` pages. Raises as `page`."""
        names = [self._page_name(number) for number in range(count)]
        for name, data in zip(names, read_ahead(self.workspace, names), strict=True):
            if data is None:
                raise self._gone(f"a page of the run's plan ({name})")
            yield decode(data, name, self._pages)

    def records(self, pages: Iterable[PageT], *, streams: int = 1) -> Iterator[RecordT]:
        """The records of these pages, the first ones of the run, in order. streams: see `read_ahead`.

        Raises:
            RunStateError: a part of them is gone.
            CorruptFileError: a document cannot be read.
        """
        folders = ((self._place_of(number, page), page.parts) for number, page in enumerate(pages))
        for part in read_parts(self.workspace, folders, self._records, streams=streams):
            if part is None:
                raise self._gone("a part of the run's plan")
            yield from part

    def beside(self, number: int, page: PageT, name: str, kind: type[DocumentT]) -> DocumentT:
        """What was written about a page beside its plan.

        Raises:
            RunStateError: it is not there.
        """
        document = load(self.workspace, f"{self._place_of(number, page)}/{name}", kind)
        if document is None:
            raise self._gone(f"what belongs to page {number} of the run's plan ({name})")
        return document

    def shard_plans(self, pages: Iterable[PageT]) -> Iterator[ShardT]:
        """The plans of all shards of these pages, the first ones of the run, in order. Raises as `shard`."""
        names = (
            _shard_name(self._place_of(number, page), shard)
            for number, page in enumerate(pages)
            for shard in range(page.first_shard, page.next_shard)
        )
        for shard, data in enumerate(read_ahead(self.workspace, names)):
            if data is None:
                raise self._gone(f"the plan of shard {shard}")
            yield decode(data, f"plan of shard {shard}", self._shards)

    def shard(self, number: int) -> ShardT:
        """The plan of a shard.

        Raises:
            RunStateError: it is not there.
        """
        origin = load(self.workspace, self._name_of_shard(number, "origin"), _Origin)
        plan = None
        if origin is not None:
            name = _shard_name(self._place_of(origin.page, origin), number)
            plan = load(self.workspace, name, self._shards)
        if plan is None:
            raise self._gone(f"the plan of shard {number}")
        return plan

    def attempt(self, shard: int) -> Attempt:
        """A new attempt at a shard, which has not claimed a number yet."""
        return Attempt(self.workspace, f"shard-{shard:08d}", folder=self.folder)

    def result_or_none(self, shard: int) -> ResultT | None:
        """What became of a shard; None while nothing has."""
        return load(self.workspace, self._name_of_shard(shard, "result"), self._results)

    def result(self, shard: int) -> ResultT:
        """What became of a shard.

        Raises:
            MissingResultError: nothing yet.
        """
        result = self.result_or_none(shard)
        if result is None:
            raise MissingResultError(shard)
        return result

    def results(self, shards: int, *, streams: int = 1) -> Iterator[ResultT]:
        """What became of the first `shards` shards, in order; one is let go of when the next is asked for.

        Raises:
            MissingResultError: of one nothing yet.
        """
        names = (self._name_of_shard(shard, "result") for shard in range(shards))
        for shard, data in enumerate(read_ahead(self.workspace, names, streams=streams)):
            if data is None:
                raise MissingResultError(shard)
            yield decode(data, f"result of shard {shard}", self._results)

    def conclude(self, shard: int, result: ResultT) -> ResultT:
        """Say what became of a shard; the result that stands.

        Raises:
            RunClosedError: the run was closed before.
        """
        return conclude(self.workspace, self._name_of_shard(shard, "result"), result)

    def do_again(self, shard: int) -> None:
        """Forget a shard's result and checkpoints: what they speak of is gone."""
        self.workspace.remove(self._name_of_shard(shard, "result"))
        self.attempt(shard).drop_checkpoints()

    def _gone(self, what: str) -> HoldfastError:
        """The error about a document that should be there."""
        if self.workspace.has(OPENING):
            return RunStateError(f"{what} is gone from the run's workspace")
        check_here(self.workspace)
        return RunClosedError(f"{what} is gone: the run was closed, or never opened")

    def _page_name(self, number: int) -> str:
        return f"{self.folder}pages/{number:08d}"

    def _folder_of(self, page: int) -> str:
        """Without its token."""
        return f"{self.folder}plans/{page:08d}"

    def _place_of(self, number: int, page: Page | _Origin) -> str:
        return f"{self._folder_of(number)}-{page.token}"

    def _name_of_shard(self, shard: int, rest: str) -> str:
        return f"{self.folder}shards/{shard:08d}/{rest}"


def _shard_name(folder: str, shard: int) -> str:
    return f"{folder}/shard-{shard:08d}"

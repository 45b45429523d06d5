"""The plan of a run is decided once, wherever the first attempt was killed, and whichever comes second."""

from collections.abc import Callable

import msgspec
import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import CorruptFileError, RunClosedError, RunStateError
from holdfast.repository.repository import Repository
from holdfast.runs import plan
from holdfast.runs.opening import OPENING, close_run, load_opening, open_run
from holdfast.runs.plan import MissingResultError, PageWriter, Plan
from holdfast.runs.workspace import Workspace
from holdfast.storage.contract import Storage
from tests.support.doubles import DyingStorage, Killed
from tests.support.engine import PASSWORD
from tests.support.memory_storage import MemoryStorage


class Opening(msgspec.Struct, frozen=True):
    what: str


class Page(plan.Page, frozen=True, kw_only=True):
    cursor: int


class Record(msgspec.Struct, frozen=True, tag="r"):
    number: int


class Shard(msgspec.Struct, frozen=True):
    numbers: tuple[int, ...]


class Result(msgspec.Struct, frozen=True):
    total: int


Numbers = Plan[Page, Record, Shard, Result]
PAGE, PAGES, PART = 10, 3, 4


def workspace_on(storage: Storage) -> Workspace:
    return Workspace(Repository.init(storage, PASSWORD, kdf=ScryptParameters.for_tests()), "run")


def plan_of(workspace: Workspace, folder: str = "") -> Numbers:
    return Plan(
        workspace,
        pages=Page,
        records=msgspec.msgpack.Decoder(list[Record]),
        shards=Shard,
        results=Result,
        part_records=PART,
        folder=folder,
    )


@pytest.fixture
def workspace() -> Workspace:
    workspace = workspace_on(MemoryStorage())
    open_run(workspace, Opening, lambda: Opening("numbers"))
    return workspace


def count_on(writer: PageWriter[Record, Shard], before: Page | None) -> Page:
    """The numbers behind those of the page before: a record each, and two shards for a page."""
    start = 0 if before is None else before.cursor
    numbers = tuple(range(start, start + PAGE))
    for number in numbers:
        writer.add([Record(number)])
    writer.flush()
    writer.write_shard(Shard(numbers[:3]))
    assert writer.next_shard == writer.first_shard + 1
    writer.write_shard(Shard(numbers[3:]))
    writer.write("beside", Opening(f"page of {start}"))
    return Page(
        token=writer.token,
        last=start + PAGE == PAGE * PAGES,
        parts=writer.parts,
        first_shard=writer.first_shard,
        shards=writer.shards,
        cursor=start + PAGE,
    )


def counted(numbers: Numbers) -> list[Page]:
    return [numbers.select(page, count_on) for page in range(PAGES)]


def not_again(_writer: PageWriter[Record, Shard], _before: Page | None) -> Page:
    raise AssertionError("the page was decided")


@pytest.mark.parametrize("folder", ["", "g1/"])
def test_pages_go_on_where_the_one_before_ended(workspace: Workspace, folder: str) -> None:
    numbers = plan_of(workspace, folder)
    pages = counted(numbers)
    assert [(page.first_shard, page.next_shard, page.last) for page in pages] == [
        (0, 2, False),
        (2, 4, False),
        (4, 6, True),
    ]
    assert [page.parts for page in pages] == [3, 3, 3]
    assert [*numbers.pages(PAGES)] == pages
    assert [record.number for record in numbers.records(pages)] == list(range(PAGE * PAGES))
    assert numbers.shard(3) == Shard(tuple(range(13, 20)))
    assert [*numbers.shard_plans(pages)] == [numbers.shard(shard) for shard in range(6)]
    assert numbers.beside(2, pages[2], "beside", Opening) == Opening("page of 20")
    with pytest.raises(RunStateError):
        numbers.beside(2, pages[2], "nothing", Opening)


def test_a_page_that_was_decided_is_not_planned_again(workspace: Workspace) -> None:
    first = counted(plan_of(workspace))
    assert [plan_of(workspace).select(page, not_again) for page in range(PAGES)] == first


def test_a_page_without_the_one_before_it(workspace: Workspace) -> None:
    with pytest.raises(RunStateError, match="page 0"):
        plan_of(workspace).select(1, not_again)


def test_of_attempts_that_race_the_first_one_to_decide_counts(workspace: Workspace) -> None:
    numbers = plan_of(workspace)
    first: list[Page] = []

    def overtaken(writer: PageWriter[Record, Shard], before: Page | None) -> Page:
        first.append(plan_of(workspace).select(0, count_on))
        writer.write_shard(Shard((666,)))
        return Page(token=writer.token, shards=1, cursor=666)

    assert [numbers.select(0, overtaken)] == first
    assert numbers.shard(0) == Shard((0, 1, 2))


def test_a_kill_at_any_write_of_a_page_is_mended_by_the_next_attempt() -> None:
    kills = 0
    for at in range(20):
        below = MemoryStorage()
        workspace = workspace_on(below)
        open_run(workspace, Opening, lambda: Opening("numbers"))
        repository = Repository.open(DyingStorage(below, at, done=bool(at % 2)), PASSWORD)
        try:
            plan_of(Workspace(repository, "run")).select(0, count_on)
        except Killed:
            kills += 1
        page = plan_of(workspace).select(0, count_on)
        assert [plan_of(workspace).shard(shard).numbers for shard in range(page.shards)] == [
            (0, 1, 2),
            tuple(range(3, 10)),
        ]
    assert kills >= 8


def test_results_are_read_in_order_and_the_first_that_is_missing_is_named(workspace: Workspace) -> None:
    numbers = plan_of(workspace)
    counted(numbers)
    for shard in (0, 1, 3):
        assert numbers.conclude(shard, Result(shard)) == Result(shard)
    assert numbers.conclude(1, Result(999)) == Result(1), "who comes second takes the first one's"
    results = numbers.results(4)
    assert [next(results), next(results)] == [Result(0), Result(1)]
    with pytest.raises(MissingResultError) as missing:
        next(results)
    assert missing.value.shard == 2
    assert (numbers.result_or_none(2), numbers.result(3)) == (None, Result(3))
    with pytest.raises(MissingResultError):
        numbers.result(2)


def test_what_is_done_again_has_neither_result_nor_checkpoint(workspace: Workspace) -> None:
    numbers = plan_of(workspace, "g0/")
    counted(numbers)
    attempt = numbers.attempt(1)
    attempt.claim()
    attempt.save(Result(5))
    numbers.conclude(1, Result(7))
    numbers.do_again(1)
    assert numbers.result_or_none(1) is None
    assert numbers.attempt(1).resume(Result, lambda _: b"") is None
    assert numbers.shard(1) == Shard(tuple(range(3, 10))), "its plan stands"


def test_what_cannot_be_read_is_an_error(workspace: Workspace) -> None:
    numbers = plan_of(workspace)
    (page, *_) = counted(numbers)
    reading: dict[str, Callable[[], object]] = {
        "pages/00000002": lambda: [*numbers.pages(3)],
        "pages/00000001": lambda: numbers.page(1),
        f"plans/00000000-{page.token}/part-000001": lambda: [*numbers.records([page])],
        f"plans/00000000-{page.token}/shard-00000001": lambda: numbers.shard(1),
    }
    for name, read in reading.items():
        workspace.put(name, b"no document")
        with pytest.raises(CorruptFileError):
            read()
        workspace.remove(name)
        with pytest.raises(RunStateError, match="gone"):
            read()


@pytest.mark.parametrize(
    "step",
    [
        lambda numbers: numbers.page(0),
        lambda numbers: numbers.shard(0),
        lambda numbers: numbers.conclude(0, Result(0)),
        lambda numbers: numbers.select(1, count_on),
        lambda numbers: load_opening(numbers.workspace, Opening),
    ],
)
def test_who_is_late_finds_the_run_closed_and_leaves_nothing(
    workspace: Workspace, step: Callable[[Numbers], object]
) -> None:
    numbers = plan_of(workspace)
    counted(numbers)
    close_run(workspace)
    with pytest.raises(RunClosedError):
        step(numbers)
    assert [*workspace.list()] == []


def test_a_run_is_opened_once_and_closed_at_last(workspace: Workspace) -> None:
    assert open_run(workspace, Opening, lambda: Opening("other")) == (Opening("numbers"), True)
    assert load_opening(workspace, Opening) == Opening("numbers")
    workspace.put("something", b"else")
    close_run(workspace)
    assert [*workspace.list()] == []
    close_run(workspace)
    assert open_run(workspace, Opening, lambda: Opening("other")) == (Opening("other"), False)
    close_run(workspace)


def test_closing_that_is_killed_has_removed_the_opening_first() -> None:
    below = MemoryStorage()
    workspace = workspace_on(below)
    open_run(workspace, Opening, lambda: Opening("numbers"))
    dying = DyingStorage(below, 1, done=False)
    with pytest.raises(Killed):
        close_run(Workspace(Repository.open(dying, PASSWORD), "run"))
    assert not workspace.has(OPENING)
    assert [*workspace.list()] != []
    with pytest.raises(RunClosedError):
        plan_of(workspace).conclude(0, Result(0))


def test_a_run_that_cannot_be_opened_leaves_nothing() -> None:
    workspace = workspace_on(MemoryStorage())

    def refuse() -> Opening:
        raise RunStateError("it cannot be")

    with pytest.raises(RunStateError):
        open_run(workspace, Opening, refuse)
    assert [*workspace.list()] == []

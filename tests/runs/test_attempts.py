"""Attempts at a piece of work: numbers, checkpoints, and which of them goes on. The fence itself: test_fence.py."""

import msgspec
import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import FencedError
from holdfast.repository.repository import Repository
from holdfast.runs.attempts import Attempt, any_repeated
from holdfast.runs.workspace import Workspace
from tests.support.engine import PASSWORD
from tests.support.memory_storage import MemoryStorage


class Reached(msgspec.Struct, frozen=True):
    position: int


@pytest.fixture
def workspace() -> Workspace:
    return Workspace(Repository.init(MemoryStorage(), PASSWORD, kdf=ScryptParameters.for_tests()), "run")


def resumed(workspace: Workspace, scope: str = "shard") -> tuple[Attempt, Reached | None]:
    attempt = Attempt(workspace, scope)
    return attempt, attempt.resume(Reached, lambda reached: b"%d" % (reached.position if reached else 0))


def test_each_attempt_goes_on_from_the_newest_checkpoint(workspace: Workspace) -> None:
    first, nothing = resumed(workspace)
    assert (first.number, nothing) == (0, None)
    for position in (1, 2, 3):
        first.save(Reached(position))
    second, reached = resumed(workspace)
    assert (second.number, reached) == (1, Reached(3))
    third, reached = resumed(workspace)
    assert (third.number, reached) == (2, Reached(3)), "the second one has not saved any"
    third.save(Reached(2))
    assert resumed(workspace)[1] == Reached(2), "of a later attempt, however far it came"


def test_an_attempt_keeps_one_checkpoint(workspace: Workspace) -> None:
    attempt, _ = resumed(workspace)
    for position in range(5):
        attempt.save(Reached(position))
    assert [name for name in workspace.list() if "cp-" in name] == ["attempts/shard/cp-000000-000004"]


def test_who_was_replaced_saves_nothing(workspace: Workspace) -> None:
    first, _ = resumed(workspace)
    first.save(Reached(1))
    second, _ = resumed(workspace)
    with pytest.raises(FencedError):
        first.save(Reached(9))
    second.save(Reached(2))
    assert resumed(workspace)[1] == Reached(2)


def test_dropped_checkpoints_are_those_of_all_attempts(workspace: Workspace) -> None:
    first, _ = resumed(workspace)
    first.save(Reached(1))
    second, _ = resumed(workspace)
    second.save(Reached(2))
    second.drop_checkpoints()
    assert not [name for name in workspace.list() if "cp-" in name]
    only, _ = resumed(workspace, "other")
    only.save(Reached(1))
    only.drop_checkpoints()
    assert not [name for name in workspace.list() if "cp-" in name]


def test_marks_say_what_each_attempt_wrote_last(workspace: Workspace) -> None:
    first, second = Attempt(workspace, "shard"), Attempt(workspace, "shard")
    first.claim(msgspec.msgpack.encode(Reached(1)))
    second.claim(msgspec.msgpack.encode(Reached(2)))
    second.mark(msgspec.msgpack.encode(Reached(7)))
    assert dict(first.marks(Reached)) == {0: Reached(1), 1: Reached(7)}


def test_whether_anything_was_tried_twice(workspace: Workspace) -> None:
    assert not any_repeated(workspace)
    for scope in ("one", "other"):
        resumed(workspace, scope)[0].save(Reached(1))
    assert not any_repeated(workspace)
    resumed(workspace, "other")
    assert any_repeated(workspace)


def test_tokens_tell_attempts_apart(workspace: Workspace) -> None:
    assert len({Attempt(workspace, "shard").token for _ in range(20)}) == 20

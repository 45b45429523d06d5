"""Shards are taken from both ends of a plan that grows: each once, and by turns."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.workflows.both_ends import Ranges, take, with_page


def test_a_whole_plan_is_taken_from_both_ends() -> None:
    waiting = with_page((), 0, 5)
    order: list[int] = []
    while (taken := take(waiting, len(order))) is not None:
        shard, waiting = taken
        order.append(shard)

    assert order == [0, 4, 1, 3, 2]


@given(st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=60))
def test_every_shard_is_taken_once_however_the_plan_grows(steps: list[int | None]) -> None:
    """A number plans a page of so many shards, None takes one."""
    waiting: Ranges = ()
    planned = 0
    order: list[int] = []
    for step in [*steps, *[None] * 250]:
        if step is not None:
            waiting = with_page(waiting, planned, step)
            planned += step
            continue
        expected = set(range(planned)) - set(order)
        taken = take(waiting, len(order))
        if taken is None:
            assert not expected
            continue
        shard, waiting = taken
        assert shard == (max(expected) if len(order) % 2 else min(expected))
        order.append(shard)

    assert sorted(order) == list(range(planned))

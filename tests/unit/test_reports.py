"""A failure is reported whatever garbage there is."""

import gc
import inspect
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

ALLOCATIONS = 5_000
"""More than there are before the source of `inspect` is parsed, and fewer than it takes."""


class _Complains:
    """It is in a cycle, and prints a traceback when it is collected, as asyncio does of what nobody asked for."""

    def __init__(self) -> None:
        self._itself = self

    def __del__(self) -> None:
        try:
            raise ValueError(self._itself)
        except ValueError:
            traceback.format_exc()


@contextmanager
def _collector_that_finds_garbage() -> Iterator[None]:
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(ALLOCATIONS)
    _Complains()
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _fail(depth: int) -> None:
    if depth:
        _fail(depth - 1)
    inspect.signature(3)  # type: ignore[arg-type]


def test_a_failure_far_down_is_put_into_words(request: pytest.FixtureRequest) -> None:
    item = request.node
    call = pytest.CallInfo.from_call(lambda: _fail(30), when="call")
    with _collector_that_finds_garbage():
        report = item.ihook.pytest_runtest_makereport(item=item, call=call)
    assert "is not a callable object" in report.longreprtext

"""The sliding window of a run that its worker forgets: to make room, or because the worker ends."""

import asyncio
from collections.abc import Coroutine

from holdfast.workflows.window import run_window


async def _wait_for_ever() -> None:
    await asyncio.Event().wait()


async def _begin() -> Coroutine[object, object, None]:
    works = [_wait_for_ever()]
    window = run_window(lambda: works.pop() if works else None)
    window.send(None)  # up to where it waits for its work
    return window


def test_a_run_that_is_forgotten_does_not_wait_once_more() -> None:
    with asyncio.Runner() as runner:
        window = runner.run(_begin())
        window.close()  # which raises what a coroutine does that waits: there is no loop running

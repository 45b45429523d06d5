"""The code at hand knows the run and the source that it works for: every line that it logs says so."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

RUN: Final = ContextVar("holdfast_run", default="")
SOURCE: Final = ContextVar("holdfast_source", default="")


@contextlib.contextmanager
def working_for(*, run: str, source: str) -> Iterator[None]:
    """For the time of the block, in this task or thread and in the copies of its context."""
    run_token, source_token = RUN.set(run), SOURCE.set(source)
    try:
        yield
    finally:
        RUN.reset(run_token)
        SOURCE.reset(source_token)

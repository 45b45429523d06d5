"""Whole runs of the engine, each call repeated while its error says that it may succeed later, as Temporal does."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from holdfast.backup.documents import CommitResult
from holdfast.errors import TemporaryError
from holdfast.repository.session import RepositorySession
from holdfast.restore.request import RestoreOptions
from holdfast.runs.opening import close_run
from tests.support.engine import EngineRun
from tests.support.restore import EngineRestore
from tests.support.verification import verify

_TRIES = 5
ResultT = TypeVar("ResultT")


def persistently(call: Callable[[], ResultT], *, tries: int = _TRIES, pause_s: float = 0.0) -> ResultT:
    """Call until it succeeds."""
    for _ in range(tries - 1):
        try:
            return call()
        except TemporaryError:
            time.sleep(pause_s)
    return call()


def back_up(session: RepositorySession, source: Path, run_id: str = "run") -> CommitResult:
    """A whole backup, step by step as the workflow takes them."""
    run = EngineRun.of(session, source, run_id=run_id)
    persistently(run.open)
    while True:
        pages = persistently(run.select)
        for shard in range(sum(page.shards for page in pages)):
            persistently(partial(run.store, shard))
        committed = persistently(partial(run.commit, pages))
        if committed.result is not None:
            persistently(lambda: close_run(run.backup.workspace))
            return committed.result


def restored(session: RepositorySession, source: Path, target: Path) -> None:
    """A whole restore of the newest snapshot of `source`."""
    options = RestoreOptions(snapshot=f"latest:{source}", target=bytes(target))
    restore = EngineRestore(session, options)
    pages = persistently(restore.plan)
    shards = sum(page.shards for page in pages)
    for shard in range(shards):
        persistently(partial(restore.shard, shard))
    finished = persistently(lambda: restore.complete(len(pages), shards))
    assert finished.errors_of_run == 0
    persistently(lambda: _close(restore))


def _close(restore: EngineRestore) -> None:
    with restore.held() as run:
        close_run(run.workspace)


def verified(session: RepositorySession, run_id: str) -> int:
    """A full verification; how many problems it found."""
    return verify(session, run_id, attempt=persistently).problem_count

"""The engine as a library, in processes of its own and without Temporal: one verb, its cost as a line of JSON.

`python -m benchmarks.engine_run backup|restore|verify REPOSITORY PATH PASSWORD_FILE PROCESSES`

The steps and their order are the workflow's: this process plans, the shards of a page go to the others as soon as the
page is there. They are forked once the key is derived, and before there is a thread.
"""

import asyncio
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Final, Self

import msgspec

from benchmarks.contenders import Verb
from benchmarks.measure import Measured
from holdfast.backup.closing import close_run
from holdfast.backup.commit import commit_run
from holdfast.backup.documents import RunKey
from holdfast.backup.opening import BackupOrder, open_run
from holdfast.backup.select import select_page
from holdfast.backup.store import store_shard
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import find_snapshot
from holdfast.restore.closing import close_restore
from holdfast.restore.finish import finish
from holdfast.restore.opening import trigger_restore
from holdfast.restore.request import RestoreOptions
from holdfast.restore.run import RestoreRun
from holdfast.restore.select import select_page as select_restore_page
from holdfast.restore.shard import restore_shard
from holdfast.source.spec import SourceSpec
from holdfast.storage.local import LocalStorage
from holdfast.verify.report import Level
from holdfast.verify.snapshot import verify_snapshot

_RUN: Final = "benchmark"
_HOST: Final = "benchmark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What every process of a run knows."""

    session: RepositorySession
    key: RunKey
    order: BackupOrder
    restore: RestoreOptions


def main(verb: Verb, repository: Path, path: Path, password_file: Path, processes: int) -> None:
    """See the module."""
    begun, cpu = time.monotonic(), _cpu_s()
    opened = Repository.open(LocalStorage(repository), password_file.read_bytes())
    work = {Verb.BACKUP: _backup, Verb.RESTORE: _restore, Verb.VERIFY: _verify}[verb]
    whole = work(opened, path, processes)
    if not whole:
        sys.exit(f"{verb}: not whole")
    measured = Measured(wall_s=time.monotonic() - begun, cpu_s=_cpu_s() - cpu)
    sys.stdout.write(msgspec.json.encode(measured).decode() + "\n")


def _backup(repository: Repository, source: Path, processes: int) -> bool:
    order = BackupOrder(
        spec=SourceSpec(roots=(os.fsencode(source),)),
        host=_HOST,
        strategy="auto",
        started_ns=time.time_ns(),
    )
    key = RunKey(run_id=f"{_RUN}-{time.time_ns()}")
    with _Crew(processes, _run_of(repository, key, order)) as crew:
        run = crew.run
        open_run(run.session, key, order)
        pages = shards = 0

        def planned() -> Iterator[int]:
            nonlocal pages, shards
            last = False
            while not last:
                page = select_page(run.session, key, order.spec, pages, shards, _nothing)
                pages, last = pages + 1, page.last
                yield from range(shards, shards + page.shards)
                shards += page.shards

        crew.work(_store, planned())
        result = commit_run(run.session, key, order, pages, shards).result
        close_run(run.session, key, keep=False)
    return result is not None and not result.errors


def _restore(repository: Repository, target: Path, processes: int) -> bool:
    options = RestoreOptions(target=os.fsencode(target))
    key = RunKey(run_id=f"{_RUN}-{time.time_ns()}")
    with (
        _Crew(processes, _run_of(repository, key, _NO_ORDER, options)) as crew,
        crew.run.session.hold() as held,
    ):
        run = RestoreRun.under(held, key.run_id, options)
        trigger_restore(run)
        pages = [select_restore_page(run, 0)]
        while not pages[-1].last:
            pages.append(select_restore_page(run, len(pages)))
        shards = sum(page.shards for page in pages)
        crew.work(_restore_one, iter(range(shards)))
        finished = finish(run, len(pages), shards, _nothing)
        close_restore(run, keep=False)
    return not finished.partial


def _verify(repository: Repository, _path: Path, _processes: int) -> bool:
    session = RepositorySession(repository)
    try:
        snapshot = find_snapshot(repository, "latest").id
        return asyncio.run(verify_snapshot(session, snapshot, Level.FULL)).ok
    finally:
        session.close()


class _Crew:
    """The processes of a run. Each has a session of its own; this one's is opened once the others are forked."""

    def __init__(self, processes: int, make: Callable[[], Run]) -> None:
        fork = multiprocessing.get_context("fork")
        self._pool = ProcessPoolExecutor(processes, fork, _remember, (make,))
        self._pool.submit(_nothing).result()  # the first call forks them all
        self.run = make()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self.run.session.close()

    def work(self, one: Callable[[int], None], shards: Iterator[int]) -> None:
        """Do all shards, each handed over as soon as it is known; the first error ends the run."""
        for _ in self._pool.map(one, shards):
            pass


_NO_ORDER: Final = BackupOrder(spec=SourceSpec(roots=(b"/",)), host=_HOST, strategy="auto", started_ns=0)
_current: list[Run] = []


def _run_of(
    repository: Repository, key: RunKey, order: BackupOrder, options: RestoreOptions | None = None
) -> Callable[[], Run]:
    return lambda: Run(
        session=RepositorySession(repository), key=key, order=order, restore=options or RestoreOptions()
    )


def _remember(make: Callable[[], Run]) -> None:
    run = make()
    Finalize(None, run.session.close, exitpriority=0)  # a process of a pool ends without `finally`
    _current.append(run)


def _store(shard: int) -> None:
    (run,) = _current
    asyncio.run(store_shard(run.session, run.key, run.order.spec, shard, _nothing))


def _restore_one(shard: int) -> None:
    (run,) = _current
    with run.session.hold() as held:
        restoring = RestoreRun.under(held, run.key.run_id, run.restore)
        asyncio.run(restore_shard(restoring, shard, _nothing))


def _nothing(*_: object) -> None:
    """Nobody watches."""


def _cpu_s() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


if __name__ == "__main__":
    main(Verb(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))

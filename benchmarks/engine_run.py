"""The engine as a library, in processes of its own and without Temporal: one verb, its cost as a line of JSON.

`python -m benchmarks.engine_run backup|restore|verify REPOSITORY PATH PASSWORD_FILE PROCESSES [without-checkpoints]`

The steps are the workflow's, shards in a row: this process plans, the shards of a page go to the others as soon as the
page is there. They are forked once the key is derived, and before there is a thread.
"""

import asyncio
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Final, Self

import msgspec

from benchmarks.contenders import Verb
from benchmarks.measure import Measured
from holdfast.backup.commit.commit import commit_run
from holdfast.backup.opening import BackupOrder, open_backup
from holdfast.backup.plan.select import select_page
from holdfast.backup.run import BackupRun
from holdfast.backup.store.announcer import Announcer
from holdfast.backup.store.claims import ClaimTable
from holdfast.backup.store.shard import store_shard
from holdfast.backup.store.state import ShardState
from holdfast.repository.index.shared import SharedIndex
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.restore.finish.finish import finish
from holdfast.restore.opening import open_restore
from holdfast.restore.plan.select import select_page as select_restore_page
from holdfast.restore.request import RestoreOptions
from holdfast.restore.run import RestoreRun
from holdfast.restore.shard.shard import restore_shard
from holdfast.runs.opening import close_run
from holdfast.source.spec import SourceSpec
from holdfast.storage.locations import open_storage
from holdfast.terms import Strategy
from holdfast.verify.documents import VerifyRun
from holdfast.verify.finish import finish_verification
from holdfast.verify.opening import open_verification
from holdfast.verify.plan import plan_verification
from holdfast.verify.shard import read_shard
from holdfast.verify.share import Share
from holdfast.verify.trees import check_trees

WITHOUT_CHECKPOINTS: Final = "without-checkpoints"
_RUN: Final = "benchmark"
_HOST: Final = "benchmark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What every process of a run knows."""

    backup: BackupRun
    order: BackupOrder
    restore: RestoreOptions

    @property
    def verify(self) -> VerifyRun:
        """The same as a verification."""
        return VerifyRun(session=self.backup.session, run_id=self.backup.run_id)


def main(verb: Verb, repository: Path, path: Path, password_file: Path, processes: int) -> None:
    """See the module."""
    begun, cpu = time.monotonic(), _cpu_s()
    opened = Repository.open(open_storage(str(repository)), password_file.read_bytes())
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
        strategy=Strategy.AUTO,
        started_ns=time.time_ns(),
    )
    with _Crew(processes, _run_of(repository, order)) as crew:
        run = crew.run
        open_backup(run.backup, order)
        pages = shards = 0

        def planned() -> Iterator[int]:
            nonlocal pages, shards
            last = False
            while not last:
                page = select_page(run.backup, order.spec, pages, _nothing)
                pages, last = pages + 1, page.last
                yield from range(shards, shards + page.shards)
                shards += page.shards

        crew.finish(crew.begin(_store, planned()))
        result = commit_run(run.backup, order, pages, shards).result
        close_run(run.backup.workspace)
    return result is not None and not result.totals.errors


def _restore(repository: Repository, target: Path, processes: int) -> bool:
    options = RestoreOptions(target=os.fsencode(target))
    with (
        _Crew(processes, _run_of(repository, _NO_ORDER, options)) as crew,
        crew.run.backup.session.hold() as held,
    ):
        run = RestoreRun(held=held, run_id=crew.run.backup.run_id, options=options)
        open_restore(run)
        pages = [select_restore_page(run, 0)]
        while not pages[-1].last:
            pages.append(select_restore_page(run, len(pages)))
        shards = sum(page.shards for page in pages)
        crew.finish(crew.begin(_restore_one, range(shards)))
        finished = finish(run, len(pages), shards, _nothing)
        close_run(run.workspace)
    return not finished.partial


def _verify(repository: Repository, _path: Path, processes: int) -> bool:
    with _Crew(processes, _run_of(repository, _NO_ORDER)) as crew:
        run = crew.run.verify
        open_verification(run, None)
        plan = plan_verification(run, Share(percent=100), time.time_ns(), shards_wanted=4 * processes)
        reading = crew.begin(_read_one, range(plan.shards))
        check_trees(run, _nothing)
        crew.finish(reading)
        report = finish_verification(run, _nothing)
        close_run(run.workspace)
    return not report.problem_count


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
        self.run.backup.session.close()

    def begin(self, one: Callable[[int], None], shards: Iterable[int]) -> list[Future[None]]:
        """Hand over all shards, each as soon as it is known."""
        return [self._pool.submit(one, shard) for shard in shards]

    def finish(self, begun: Sequence[Future[None]]) -> None:
        """Wait for them; the first error ends the run."""
        for shard in begun:
            shard.result()


_NO_ORDER: Final = BackupOrder(
    spec=SourceSpec(roots=(b"/",)), host=_HOST, strategy=Strategy.AUTO, started_ns=0
)
_current: list[Run] = []
_CLAIMS: Final = ClaimTable()
"""Mapped before the processes are forked, so that they share it."""
_INDEX: Final = SharedIndex(SharedIndex.create_file())


def _run_of(
    repository: Repository, order: BackupOrder, options: RestoreOptions | None = None
) -> Callable[[], Run]:
    run_id = f"{_RUN}-{time.time_ns()}"
    return lambda: Run(
        backup=BackupRun(session=RepositorySession(repository, shared_index=_INDEX), run_id=run_id),
        order=order,
        restore=options or RestoreOptions(),
    )


def _remember(make: Callable[[], Run]) -> None:
    run = make()
    Finalize(None, run.backup.session.close, exitpriority=0)  # a process of a pool ends without `finally`
    _current.append(run)


def _store(shard: int) -> None:
    (run,) = _current
    asyncio.run(store_shard(run.backup, run.order.spec, shard, _nothing, claims=_CLAIMS))


def _restore_one(shard: int) -> None:
    (run,) = _current
    with run.backup.session.hold() as held:
        restoring = RestoreRun(held=held, run_id=run.backup.run_id, options=run.restore)
        asyncio.run(restore_shard(restoring, shard, _nothing))


def _read_one(shard: int) -> None:
    (run,) = _current
    read_shard(run.verify, shard, _nothing)


def _nothing(*_: object) -> None:
    """Nobody watches."""


async def _nothing_to_wait_for(*_: object) -> None:
    """Nobody is told."""


def _cpu_s() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def _leave_out_checkpoints() -> None:
    """Never one in the course of a shard, and no mark of how far it is being read; for benchmarks.checkpoints."""
    for owner, method, left_out in (
        (ShardState, "checkpoint_if_due", _nothing),
        (Announcer, "announce", _nothing_to_wait_for),
    ):
        setattr(owner, method, left_out)


if __name__ == "__main__":
    if sys.argv[6:] == [WITHOUT_CHECKPOINTS]:
        _leave_out_checkpoints()
    main(Verb(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))

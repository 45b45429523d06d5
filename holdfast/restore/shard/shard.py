"""Restores one shard: fetches what differs, pack by pack, and gives every file its name once it is whole.

    1. files are taken in groups of OPEN_FILES: compared, begun under temporary names, fetched, given their attributes;
    2. the groups written meanwhile (a *batch*) are flushed to the disk at once, while the next ones are written;
    3. the attempt looks whether it is still the newest one, and renames the batch;
    4. after the last batch the directories are flushed, and the result is written (create-if-absent).

A crash before 3 leaves only temporary files, which the finish sweeps up; after 3 the next attempt finds the files whole
and keeps them. A segment of a large file is written into its place and flushed; the finish names that file.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

from holdfast.errors import HoldfastError
from holdfast.file_list import encode_chunks
from holdfast.pace import Pace
from holdfast.restore.documents import Outcome, Problem, ShardPlan, ShardResult
from holdfast.restore.os_failures import flush, path_failure
from holdfast.restore.rules import Rules
from holdfast.restore.run import RestoreRun
from holdfast.restore.shard.fetcher import Fetcher
from holdfast.restore.shard.files import files_of, log_of, placed_files
from holdfast.restore.shard.flusher import Flusher
from holdfast.restore.shard.jobs import Job, Workbench
from holdfast.restore.shard.segment import restore_segment
from holdfast.restore.target import make_target
from holdfast.runs.attempts import Attempt
from holdfast.runs.progress import Progress, Stop, run_stoppable
from holdfast.safe_fs.attributes import is_expected
from holdfast.safe_fs.temporary import run_mark
from holdfast.terms import RestoreTotals

OPEN_FILES: Final = 256
PACED_GROUP_BYTES: Final = 64 * 1024 * 1024
"""With a limit on the reading, a group of this size is what a pause may cost."""
_PATH_BYTES: Final = 16 * 1024 * 1024
_REPORT_BYTES: Final = 4 * 1024 * 1024


def _nobody_waits() -> None:
    """What there is to tell where nobody waits for it."""


async def restore_shard(
    run: RestoreRun,
    shard: int,
    progress: Progress,
    *,
    pace: Pace | None = None,
    on_written: Callable[[], None] = _nobody_waits,
) -> ShardResult:
    """Restore the files of one shard; what is already whole on disk is not written again.

    pace: how fast the repository may be read, None for no limit. on_written: called, from a thread, when all is written
    and what is left is to flush it and to give it its names.

    Cancelling the task stops the threads before it returns; nothing half-written has a final name.

    Raises:
        StorageFullError: the target is full.
        FencedError: a newer attempt has taken over.
        RunStateError: the shard's plan is not there.
        LockLostError, StorageUnavailableError, StorageDeniedError: the repository cannot be read any more.
    """
    return await run_stoppable(lambda stop: restore_shard_now(run, shard, progress, stop, pace, on_written))


def restore_shard_now(
    run: RestoreRun,
    shard: int,
    progress: Progress,
    stop: Stop,
    pace: Pace | None = None,
    on_written: Callable[[], None] = _nobody_waits,
) -> ShardResult:
    """The same for callers without an event loop."""
    plan = run.plan
    standing = plan.result_or_none(shard)
    if standing is not None:
        return standing
    planned = plan.shard(shard)
    attempt = plan.attempt(shard)
    attempt.claim()
    result = _ShardRestore(run, planned, attempt, progress, stop, pace, on_written).result()
    if result.counts.errors:
        run.held.confirm()
    attempt.check()
    return plan.conclude(shard, result)


class _ShardRestore:
    """One attempt at one shard."""

    def __init__(
        self,
        run: RestoreRun,
        plan: ShardPlan,
        attempt: Attempt,
        progress: Progress,
        stop: Stop,
        pace: Pace | None,
        on_written: Callable[[], None],
    ) -> None:
        self._run = run
        self._plan = plan
        self._attempt = attempt
        self._progress = _Reported(progress)
        self._stop = stop
        self._pace = pace
        self._on_written = on_written
        self._group_bytes = run.sizes.group_bytes if pace is None else PACED_GROUP_BYTES
        self._outcomes = bytearray(len(plan.files))
        self._problems: list[Problem] = []
        self._bytes_written = self._bytes_kept = 0
        opening = run.opening
        directories = make_target(opening.target)
        directories.will_follow(plan.links)
        self._bench = Workbench(
            index=run.held.index,
            directories=directories,
            rules=Rules(run, opening),
            obstacles=frozenset(plan.obstacles),
            mark=run_mark(run.run_id),
            token=attempt.token,
            repeated=attempt.number > 0,
        )
        self._flusher = Flusher(self._bench.file_systems)
        self._fetcher = Fetcher(
            run.held.loader,
            sparse=run.options.sparse,
            stop=stop,
            on_bytes=self._progress.add_bytes,
            on_large=self._flusher.written,
            pace=pace,
        )

    def result(self) -> ShardResult:
        """Restore everything and say what became of it."""
        try:
            if self._plan.files[0].segments > 1:
                self._restore_segment()
            else:
                self._restore_files()
            self._flusher.wait()
            flush(self._bench.file_systems)
        finally:
            self._fetcher.close()
            self._flusher.close()
            self._bench.file_systems.close()
            self._bench.directories.close()
        outcomes, problems = bytes(self._outcomes), tuple(self._problems)
        files = chain.from_iterable(map(log_of, files_of(self._plan, outcomes, problems)))
        return ShardResult(
            outcomes=outcomes, counts=self._counts(), problems=problems, log=tuple(encode_chunks(files))
        )

    def _counts(self) -> RestoreTotals:
        return RestoreTotals(
            bytes_written=self._bytes_written,
            bytes_kept=self._bytes_kept,
            files_written=self._outcomes.count(Outcome.RESTORED),
            files_kept=self._outcomes.count(Outcome.UNCHANGED) + self._outcomes.count(Outcome.UPDATED),
            files_skipped=self._outcomes.count(Outcome.SKIPPED),
            errors=sum(not problem.warning for problem in self._problems),
            incomplete=len(
                {
                    problem.index
                    for problem in self._problems
                    if problem.warning and not is_expected(problem.message)
                }
            ),
        )

    def _restore_segment(self) -> None:
        (job,) = self._jobs()
        restore_segment(self._run, self._bench, self._fetcher, job, self._attempt)
        self._settle(job)
        self._hand_on()

    def _restore_files(self) -> None:
        written: list[Job] = []
        flushing: list[Job] = []
        written_bytes = 0
        sizes = self._run.sizes
        try:
            for group in self._groups():
                written += group
                self._write(group)
                written_bytes += sum(job.written_bytes for job in group)
                is_worth_it = len(written) >= sizes.flush_files or written_bytes >= sizes.flush_bytes
                is_full = len(written) >= sizes.batch_files or written_bytes >= sizes.batch_bytes
                if is_full or (is_worth_it and self._flusher.is_idle):
                    self._name(flushing)
                    flushing, written, written_bytes = written, [], 0
                    self._flusher.begin()
            self._hand_on()
            self._name(flushing)
            self._flusher.begin()
            self._name(written)
        except BaseException:
            self._abandon([*flushing, *written])
            raise

    def _hand_on(self) -> None:
        """All is written. The next shard begins afresh: what the last read is worth, this one waits."""
        if self._pace is not None:
            self._stop.wait(self._pace.spend(0))
        self._on_written()

    def _write(self, group: list[Job]) -> None:
        """Step 1: everything that needs the files open."""
        for job in group:
            self._stop.check()
            try:
                self._bench.prepare(job)
            except (OSError, HoldfastError) as error:
                job.fail(path_failure(error))
        self._fetcher.fetch(job for job in group if job.fd >= 0 and not job.failure)
        for job in group:
            if job.fd >= 0 and not job.failure:
                try:
                    self._bench.complete(job)
                except (OSError, HoldfastError) as error:
                    job.fail(path_failure(error))
            self._bench.close(job)
        self._run.held.check_lock()
        self._progress.add_files(len(group))

    def _name(self, batch: list[Job]) -> None:
        """Steps 2 and 3."""
        if any(job.temporary for job in batch):
            self._stop.check()
            self._flusher.wait()
            self._attempt.check()
        for job in batch:
            try:
                if job.temporary and not job.failure:
                    self._bench.name(job)
            except (OSError, HoldfastError) as error:
                job.fail(path_failure(error))
            if job.temporary:
                self._abandon([job])
            self._settle(job)

    def _abandon(self, jobs: list[Job]) -> None:
        """Remove temporary files; what cannot be removed is swept up by the finish."""
        for job in jobs:
            try:
                self._bench.abandon(job)
            except (OSError, HoldfastError):
                continue

    def _settle(self, job: Job) -> None:
        outcome = Outcome.FAILED if job.failure else job.outcome or Outcome.FAILED
        self._outcomes[job.index] = outcome[0]
        self._problems += [Problem(job.index, warning, warning=True) for warning in job.warnings]
        if job.failure:
            self._problems.append(Problem(job.index, job.failure))
        self._bytes_written += job.written_bytes
        self._bytes_kept += job.kept_bytes

    def _groups(self) -> Iterator[list[Job]]:
        group: list[Job] = []
        size = path_bytes = 0
        for job in self._jobs():
            group.append(job)
            size += job.plan.size
            path_bytes += len(job.directory)
            if len(group) >= OPEN_FILES or size >= self._group_bytes or path_bytes >= _PATH_BYTES:
                yield group
                group, size, path_bytes = [], 0, 0
        if group:
            yield group

    def _jobs(self) -> Iterator[Job]:
        for index, (directory, plan) in enumerate(placed_files(self._plan)):
            yield Job(index=index, plan=plan, directory=directory, name=plan.node.name)


class _Reported:
    """How far a shard is, told now and then.

    Apart from the attempt, so that what fetches for it does not lead back to it: in such a circle index and trees would
    outlive the repository's session until the collector of cycles looks, and where little is made it hardly ever does.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._files = 0
        self._bytes = 0
        self._told_bytes = 0

    def add_files(self, count: int) -> None:
        """These are done."""
        self._files += count
        self._tell()

    def add_bytes(self, count: int) -> None:
        """These are fetched; from any thread."""
        self._bytes += count
        if self._bytes - self._told_bytes >= _REPORT_BYTES:
            self._tell()

    def _tell(self) -> None:
        self._told_bytes = self._bytes
        self._progress(self._files, self._bytes)

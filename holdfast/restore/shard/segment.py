"""Restores one segment of a large file into the temporary file that all its segments share."""

import os
import stat

from holdfast.errors import HoldfastError
from holdfast.restore.documents import Outcome
from holdfast.restore.os_failures import path_failure
from holdfast.restore.run import RestoreRun
from holdfast.restore.shard.contents import Piece, matching_stretches, pieces_of
from holdfast.restore.shard.fetcher import Fetcher
from holdfast.restore.shard.jobs import Job, Workbench
from holdfast.restore.shard.large_file import open_large
from holdfast.restore.target import look, looks_equal, may_overwrite
from holdfast.runs.attempts import Attempt
from holdfast.safe_fs.sparse import copy_range
from holdfast.safe_fs.temporary import open_existing, run_mark
from holdfast.terms import Overwrite


def restore_segment(run: RestoreRun, bench: Workbench, fetcher: Fetcher, job: Job, attempt: Attempt) -> None:
    """Write what differs, and flush it; the outcome says whether the old file has the whole segment already.

    Raises:
        HoldfastError: as `restore_shard`.
    """
    try:
        pieces = pieces_of(run.held.index, job.plan.content, job.plan.start)
        old = _open_old(run, bench, job)
        try:
            _restore(run, bench, fetcher, job, attempt, pieces, old)
        finally:
            if old >= 0:
                os.close(old)
    except (OSError, HoldfastError) as error:
        job.fail(path_failure(error))
    finally:
        bench.close(job)


def _open_old(run: RestoreRun, bench: Workbench, job: Job) -> int:
    """The file that is there, or -1; sets the outcome where the rule protects it."""
    rule = run.options.overwrite
    present = look(bench.directories, job.directory, job.name)
    if present is None:
        return -1
    if not may_overwrite(rule, job.node, present):
        job.outcome = Outcome.SKIPPED
        return -1
    if not stat.S_ISREG(present.st_mode):
        return -1
    try:
        return open_existing(bench.directories.open(job.directory).fd, job.name)
    except (PermissionError, FileNotFoundError):
        return -1


def _restore(
    run: RestoreRun,
    bench: Workbench,
    fetcher: Fetcher,
    job: Job,
    attempt: Attempt,
    pieces: list[Piece],
    old: int,
) -> None:
    if job.outcome:
        return
    differing = pieces
    if old >= 0:
        status = os.fstat(old)
        trusted = run.options.overwrite is Overwrite.IF_CHANGED and looks_equal(job.node, status)
        differing = [] if trusted else bench.reader.differing(old, pieces)
        job.kept_bytes = sum(p.length for p in pieces) - sum(p.length for p in differing)
        if not differing and status.st_size == job.plan.size:
            job.outcome = Outcome.SEGMENT_MATCHES
            return
    parent = bench.directories.make(job.directory, bench.obstacles)
    bench.file_systems.touch(parent.fd, parent.device)
    mark = run_mark(run.run_id)
    job.fd = open_large(run.workspace, parent, job.plan.number, job.plan.size, mark, attempt.token)
    if old >= 0:
        for offset, length in matching_stretches(pieces, differing):
            copy_range(old, job.fd, offset, length)
    # What an earlier attempt has written already is not fetched again.
    job.missing = bench.reader.differing(job.fd, differing) if attempt.number else differing
    fetcher.fetch([job])
    if not job.failure:
        attempt.check()
        os.fsync(job.fd)
        job.outcome = Outcome.SEGMENT_WRITTEN

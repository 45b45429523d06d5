"""Reads the restored tree back from disk: every blob's hash, every entry's kind and metadata.

Compared is what the run restored or found to be equal. Left out is what its record names already: paths that failed,
and those that the overwrite rule protects. Shards are read by a few threads, each with its own descriptors.
"""

import contextlib
import os
import stat
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec

from holdfast.errors import IntegrityError, UnsafePathError
from holdfast.file_list import FileAction
from holdfast.format.tree import Node
from holdfast.restore.documents import Enter, Large, Link, Outcome, Special
from holdfast.restore.finish.finish import finish_records
from holdfast.restore.node_attributes import attributes_of
from holdfast.restore.plan.reader import placed_records
from holdfast.restore.run import RestoreRun, VerifyReport
from holdfast.restore.shard.contents import ContentReader, pieces_of
from holdfast.restore.shard.files import PlannedFile, files_of
from holdfast.restore.target import look, open_target
from holdfast.runs.progress import Progress, Stop, run_stoppable
from holdfast.safe_fs.attributes import (
    HARD_LINK,
    SET_ID_BITS,
    Attributes,
    differences,
    kind_of_loss,
    read_xattrs,
)
from holdfast.safe_fs.directories import Directories, join, split
from holdfast.safe_fs.temporary import open_existing

MAX_PROBLEMS: Final = 10_000
_READERS: Final = 2
_REPORT_BYTES: Final = 8 * 1024 * 1024
_COMPARED_BYTES: Final = 1024 * 1024
_COMPARED: Final = frozenset(
    (
        Outcome.RESTORED,
        Outcome.UPDATED,
        Outcome.UNCHANGED,
        Outcome.SEGMENT_WRITTEN,
        Outcome.SEGMENT_MATCHES,
    )
)


async def verify_restored(run: RestoreRun, pages: int, progress: Progress) -> VerifyReport:
    """Compare what is on disk with the snapshot; what differs is in the report, at most MAX_PROBLEMS by path.

    Raises:
        RunStateError: the plan, or the result of a shard, is gone.
        TargetError: the target cannot be opened.
        LockLostError, StorageUnavailableError, …: from the repository.
    """
    return await run_stoppable(lambda stop: _Verification(run, stop, progress).all(pages))


class _Findings:
    """Counts and problems, told from several threads."""

    def __init__(self, stop: Stop, progress: Progress) -> None:
        self._stop = stop
        self._progress = progress
        self._lock = threading.Lock()
        self._reported = 0
        self.files = self.blobs = self.bytes_read = self.problem_count = 0
        self.problems: list[tuple[bytes, str]] = []

    def problem(self, path: bytes, what: str) -> None:
        with self._lock:
            self.problem_count += 1
            if len(self.problems) < MAX_PROBLEMS:
                self.problems.append((b"/" + path, what))

    def read(self, count: int) -> None:
        """One more blob was read back."""
        with self._lock:
            self.blobs += 1
            self.bytes_read += count

    def compared(self) -> None:
        """One more file is done; stops the work when it is to end."""
        self._stop.check()
        with self._lock:
            self.files += 1
            due = self.bytes_read - self._reported >= _REPORT_BYTES
            if due:
                self._reported = self.bytes_read
        if due:
            self._progress(self.files, self.bytes_read)


@dataclass(slots=True)
class _Reader:
    """What one thread needs."""

    directories: Directories
    contents: ContentReader


class _Verification:
    """One verification of a run."""

    def __init__(self, run: RestoreRun, stop: Stop, progress: Progress) -> None:
        self._run = run
        self._target = run.opening.target
        self._found = _Findings(stop, progress)
        self._excepted: set[bytes] = set()
        self._lost: dict[bytes, set[str]] = {}

    def all(self, pages: int) -> VerifyReport:
        for record in finish_records(self._run):
            path = record.path[1:]
            if record.action in (FileAction.FAILED, FileAction.SKIPPED):
                self._excepted.add(path)
            elif record.action is FileAction.WARNING:
                self._lost.setdefault(path, set()).add(kind_of_loss(record.message))
        last = self._run.plan.page(pages - 1)
        with ThreadPoolExecutor(_READERS, thread_name_prefix="verify") as pool:
            shards = [pool.submit(self._shard, shard) for shard in range(last.next_shard)]
            try:
                self._records(pages)
                for shard in shards:
                    shard.result()
            finally:
                for shard in shards:
                    shard.cancel()
        found = self._found
        if found.problem_count:
            self._run.held.confirm()
        return VerifyReport(
            ok=not found.problem_count,
            files=found.files,
            blobs=found.blobs,
            bytes_read=found.bytes_read,
            problem_count=found.problem_count,
            problems=tuple(sorted(found.problems)),
        )

    @contextmanager
    def _reading(self) -> Iterator[_Reader | None]:
        """A reader of the target; None where that is missing altogether."""
        directories = open_target(self._target)
        if directories is None:
            yield None
            return
        with directories:
            yield _Reader(directories, ContentReader())

    def _shard(self, shard: int) -> None:
        plan, result = self._run.plan.shard(shard), self._run.plan.result(shard)
        with self._reading() as reader:
            if reader is not None:
                reader.directories.will_follow(plan.links)
            for file in files_of(plan, result.outcomes, result.problems):
                if file.outcome in _COMPARED and file.path not in self._excepted:
                    self._compare(file.path, reader, partial(self._file, file=file))

    def _records(self, pages: int) -> None:
        with self._reading() as reader:
            for placed in placed_records(self._run, pages):
                record, directory = placed.record, placed.directory
                path = directory
                if isinstance(record, Special | Large):
                    path = join(directory, record.node.name)
                elif isinstance(record, Link):
                    path = join(directory, record.name)
                elif not isinstance(record, Enter):
                    continue
                if isinstance(record, Enter) and record.link and reader is not None:
                    reader.directories.will_follow((path,))
                if path not in self._excepted:
                    self._compare(path, reader, partial(self._record, path=path, record=record))

    def _compare(self, path: bytes, reader: _Reader | None, compare: Callable[[_Reader], None]) -> None:
        if reader is None:
            self._found.problem(path, "is missing")
            return
        try:
            compare(reader)
        except FileNotFoundError:
            self._found.problem(path, "is missing")
        except (UnsafePathError, IntegrityError) as error:
            self._found.problem(path, error.message)
        except OSError as error:
            self._found.problem(path, error.strerror or "cannot be read")
        self._found.compared()

    def _file(self, reader: _Reader, file: PlannedFile) -> None:
        directory, name = split(file.path)
        plan = file.plan
        fd = open_existing(reader.directories.open(directory).fd, name)
        try:
            status = os.fstat(fd)
            if status.st_size != plan.size:
                self._found.problem(file.path, f"has {status.st_size} bytes, not {plan.size}")
                return
            pieces = pieces_of(self._run.held.index, plan.content, plan.start)
            wrong = reader.contents.differing(fd, pieces, self._found.read)
            if wrong:
                self._found.problem(file.path, f"differs from byte {wrong[0].offset} on")
            if plan.segments == 1:
                lost = {kind_of_loss(problem.message) for problem in file.problems if problem.warning}
                self._attributes(file.path, status, read_xattrs(fd), plan.node, lost)
        finally:
            os.close(fd)

    def _record(self, reader: _Reader, path: bytes, record: Enter | Special | Large | Link) -> None:
        directory, name = split(path)
        if isinstance(record, Enter):
            if record.kept is not None:
                return  # it only leads on, and has kept what it was
            opened = reader.directories.open(path).fd
            self._attributes(path, os.fstat(opened), read_xattrs(opened), record.node)
            return
        present = look(reader.directories, directory, name)
        if present is None:
            raise FileNotFoundError
        if isinstance(record, Link):
            source = look(reader.directories, *split(record.to))
            if source is not None and (source.st_dev, source.st_ino) == (present.st_dev, present.st_ino):
                return
            is_copy = HARD_LINK in self._lost.get(path, ())
            if not is_copy or not _same_content(reader, path, record.to):
                self._found.problem(path, "is not the same file as its other name")
            return
        node = record.node
        if stat.S_IFMT(present.st_mode) != stat.S_IFMT(node.st_mode):
            self._found.problem(path, "is of another kind")
            return
        parent = reader.directories.open(directory).fd
        if node.is_symlink and os.readlink(name, dir_fd=parent) != node.target:
            self._found.problem(path, "points to another target")
        is_device = stat.S_ISBLK(present.st_mode) or stat.S_ISCHR(present.st_mode)
        if is_device and present.st_rdev != node.device:
            self._found.problem(path, "is another device")
        self._attributes(path, present, read_xattrs(b"/proc/self/fd/%d/%b" % (parent, name)), node)

    def _attributes(
        self,
        path: bytes,
        status: os.stat_result,
        xattrs: dict[bytes, bytes],
        node: Node,
        lost: Collection[str] = (),
    ) -> None:
        """lost: kinds of what the shard could not restore, and has told; so it is no damage."""
        wanted = _attainable(attributes_of(node), status)
        lost = lost or self._lost.get(path, ())
        if "attributes" in lost:
            xattrs = dict(wanted.xattrs)
        for difference in differences(status, xattrs, wanted, compare_mode=not node.is_symlink):
            if not any(difference.startswith(f"{kind} ") for kind in lost if kind):
                self._found.problem(path, difference)


def _same_content(reader: _Reader, one: bytes, other: bytes) -> bool:
    """Whether two files hold the same bytes."""
    with contextlib.ExitStack() as resources:
        files = [
            resources.enter_context(open(open_existing(reader.directories.open(directory).fd, name), "rb"))
            for directory, name in (split(one), split(other))
        ]
        while True:
            first, second = (file.read(_COMPARED_BYTES) for file in files)
            if first != second or not first:
                return first == second


def _attainable(wanted: Attributes, status: os.stat_result) -> Attributes:
    """Who is not root cannot give files away, and then lends nobody the set-id bits (safe_fs/attributes.py)."""
    if os.geteuid() == 0 or (status.st_uid, status.st_gid) == (wanted.uid, wanted.gid):
        return wanted
    return msgspec.structs.replace(
        wanted, uid=status.st_uid, gid=status.st_gid, mode=wanted.mode & ~SET_ID_BITS
    )

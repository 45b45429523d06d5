"""The single steps of a finish, each of which finds out whether it was done before: on one path, by descriptor."""

import contextlib
import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from holdfast.errors import CorruptFileError
from holdfast.format.modes import BLOCK_DEVICE, CHARACTER_DEVICE, FIFO, SYMLINK
from holdfast.format.tree import Node
from holdfast.restore.documents import Enter, Kept, Large, Link, Outcome, Special
from holdfast.restore.finish.large_files import LargeFiles
from holdfast.restore.node_attributes import attributes_of
from holdfast.restore.rules import Rules
from holdfast.restore.run import RestoreRun
from holdfast.restore.target import look, make_target, may_overwrite
from holdfast.safe_fs.attributes import (
    HARD_LINK,
    REFUSALS,
    Attributes,
    apply_to_descriptor,
    apply_to_link,
    apply_to_special,
    differences,
    loss,
    read_xattrs,
)
from holdfast.safe_fs.directories import Directory, proc_path, split
from holdfast.safe_fs.durable import FileSystems, only_leads_on
from holdfast.safe_fs.replace import replace
from holdfast.safe_fs.sparse import copy_range
from holdfast.safe_fs.temporary import create, discard, open_existing, run_mark, sweep, temporary_name
from holdfast.terms import Overwrite

_NO_HARD_LINKS: Final = {
    errno.EPERM,
    errno.EACCES,
    errno.EINVAL,
    errno.ENOTSUP,
    errno.ENOSYS,
    errno.EMLINK,
    errno.EXDEV,
}
_KINDS: Final = {
    SYMLINK: "symbolic link",
    FIFO: "fifo",
    BLOCK_DEVICE: "block device",
    CHARACTER_DEVICE: "character device",
}
_MAX_DEVICE: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Step:
    """What a step came to."""

    outcome: bytes
    warnings: tuple[str, ...] = ()


class FinishSteps:
    """What the steps of one attempt share. Belongs to one thread."""

    def __init__(self, run: RestoreRun, token: str, outcomes: Mapping[int, bytes]) -> None:
        """outcomes: of the shards of one file each."""
        self._run = run
        self._token = token.encode()
        self._mark = run_mark(run.run_id)
        opening = run.opening
        self._rules = Rules(run, opening)
        self.directories = make_target(opening.target)
        self.file_systems = FileSystems()
        self.large_files = LargeFiles(run, self.directories, outcomes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file_systems.close()
        self.directories.close()

    def enter(self, path: bytes, record: Enter) -> None:
        """Make sure that a directory exists."""
        if record.link:
            self.directories.will_follow((path,))
        self._touch(self.directories.make(path, (path,) if record.obstacle else ()))

    def leave(self, path: bytes, node: Node | None, kept: Kept | None = None, *, sweeping: bool) -> list[str]:
        """Give a directory its attributes (if it has a node), after everything in it is done; returns warnings.

        kept: what it has to keep, as it only leads to what is restored; then its node says nothing.
        """
        directory = self.directories.open(path)
        self._touch(directory)
        if sweeping:
            sweep(directory.fd, self._mark)
        warnings: list[str] = []
        if kept is not None:
            _put_back(directory, kept)
        elif node is not None:
            wanted = attributes_of(node)
            place = proc_path(directory.fd) if only_leads_on(directory.fd) else directory.fd
            if differences(os.fstat(directory.fd), read_xattrs(place, follow=True), wanted):
                warnings = apply_to_descriptor(place, wanted)
        self.file_systems.finish_directory(directory.fd, directory.device)
        return warnings

    def link(self, path: bytes, record: Link) -> Step:
        """Give a file, link, device or fifo a further name: of a file a copy, where there are no hard links."""
        source_path, source_name = split(record.to)
        source = look(self.directories, source_path, source_name)
        if source is None or stat.S_ISDIR(source.st_mode):
            raise FileNotFoundError(2, "the file that it is another name of is not there")
        parent = self.directories.open(path)
        present = look(self.directories, path, record.name)
        if present is not None and _same_file(present, source):
            return Step(Outcome.UNCHANGED)
        if present is not None and self._run.options.overwrite is Overwrite.NEVER:
            return Step(Outcome.SKIPPED)
        temporary = temporary_name(self._mark, record.number, self._token)
        discard(parent.fd, temporary)
        source_directory = self.directories.open(source_path).fd
        warnings: list[str] = []
        try:
            os.link(
                source_name,
                temporary,
                src_dir_fd=source_directory,
                dst_dir_fd=parent.fd,
                follow_symlinks=False,
            )
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS or not stat.S_ISREG(source.st_mode):
                raise
            warnings = _copy(source_directory, source_name, parent.fd, temporary)
            warnings.append(loss(HARD_LINK, f"it is a file of its own: {error.strerror}"))
        else:
            made = os.stat(temporary, dir_fd=parent.fd, follow_symlinks=False)
            if not _same_file(made, source):
                discard(parent.fd, temporary)
                raise FileNotFoundError(2, "the file that it is another name of was exchanged meanwhile")
        try:
            self._replace(path, temporary, record.name)
        except OSError:
            discard(parent.fd, temporary)
            raise
        return Step(Outcome.RESTORED, tuple(warnings))

    def special(self, path: bytes, record: Special) -> Step:
        """Make a symbolic link, a device or a fifo."""
        node = record.node
        parent = self.directories.open(path)
        wanted = attributes_of(node)
        present = look(self.directories, path, node.name)
        if present is not None and self._is_that(parent.fd, node, present):
            xattrs = _xattrs_of(parent.fd, node.name)
            if not differences(present, xattrs, wanted, compare_mode=not node.is_symlink):
                return Step(Outcome.UNCHANGED)
            if not may_overwrite(self._run.options.overwrite, node, present):
                return Step(Outcome.SKIPPED)
            return Step(Outcome.UPDATED, tuple(self._apply(parent.fd, node, node.name, wanted)))
        if present is not None and not may_overwrite(self._run.options.overwrite, node, present):
            return Step(Outcome.SKIPPED)
        temporary = temporary_name(self._mark, record.number, self._token)
        discard(parent.fd, temporary)
        try:
            self._make(parent.fd, node, temporary)
        except OSError as error:
            if error.errno in REFUSALS:
                raise OSError(error.errno, loss(_KINDS[node.kind], error.strerror or str(error))) from error
            raise
        try:
            warnings = self._apply(parent.fd, node, temporary, wanted)
            self._replace(path, temporary, node.name)
        except OSError:
            discard(parent.fd, temporary)
            raise
        return Step(Outcome.RESTORED, tuple(warnings))

    def large(self, path: bytes, record: Large) -> Step:
        """Complete a large file, if its segments allow."""
        outcome = self.large_files.outcome(record)
        if outcome in (Outcome.FAILED, Outcome.SKIPPED):
            self.large_files.drop(path, record)
            return Step(outcome)
        if outcome == Outcome.SEGMENT_MATCHES:
            kept, warnings = self.large_files.keep(path, record)
            return Step(kept, tuple(warnings))
        temporary, warnings = self.large_files.complete(path, record)
        if temporary:
            try:
                self._replace(path, temporary, record.node.name)
            except OSError:
                self.large_files.drop(path, record)
                raise
        return Step(Outcome.RESTORED, tuple(warnings))

    def _replace(self, directory: bytes, temporary: bytes, name: bytes) -> None:
        parent = self.directories.open(directory)
        replace(
            parent,
            temporary,
            name,
            keeps=self._rules.keeps(directory),
            protected=self._rules.protected,
        )
        self._touch(parent)

    def _touch(self, directory: Directory) -> None:
        self.file_systems.touch(directory.fd, directory.device)

    def _is_that(self, parent: int, node: Node, present: os.stat_result) -> bool:
        if stat.S_IFMT(present.st_mode) != stat.S_IFMT(node.st_mode):
            return False
        if node.is_symlink:
            return os.readlink(node.name, dir_fd=parent) == node.target
        return node.kind == FIFO or present.st_rdev == node.device

    def _make(self, parent: int, node: Node, name: bytes) -> None:
        if node.is_symlink:
            if b"\0" in node.target or not node.target:
                raise CorruptFileError("the snapshot has no proper target for this symbolic link")
            os.symlink(node.target, name, dir_fd=parent)
        elif node.kind == FIFO:
            os.mkfifo(name, 0o600, dir_fd=parent)
        else:
            if not 0 <= node.device <= _MAX_DEVICE:
                raise CorruptFileError("the snapshot has a device number for it that is none")
            os.mknod(name, 0o600 | stat.S_IFMT(node.st_mode), node.device, dir_fd=parent)

    def _apply(self, parent: int, node: Node, name: bytes, wanted: Attributes) -> list[str]:
        return (apply_to_link if node.is_symlink else apply_to_special)(parent, name, wanted)


def _copy(source_directory: int, name: bytes, directory: int, temporary: bytes) -> list[str]:
    """A durable copy of a file with its attributes; what it could not be given."""
    old = open_existing(source_directory, name)
    try:
        new = create(directory, temporary)
        try:
            status = os.fstat(old)
            os.ftruncate(new, status.st_size)
            copy_range(old, new, 0, status.st_size)
            wanted = Attributes(
                mode=stat.S_IMODE(status.st_mode),
                uid=status.st_uid,
                gid=status.st_gid,
                mtime_ns=status.st_mtime_ns,
                atime_ns=status.st_mtime_ns,
                xattrs=tuple(sorted(read_xattrs(old).items())),
            )
            losses = apply_to_descriptor(new, wanted)
            os.fsync(new)
        except BaseException:
            discard(directory, temporary)
            raise
        finally:
            os.close(new)
    finally:
        os.close(old)
    return losses


def _put_back(directory: Directory, kept: Kept) -> None:
    """Mode and times, which the restore may have changed; what is another's cannot be, and was not either."""
    status = os.fstat(directory.fd)
    place = proc_path(directory.fd)
    with contextlib.suppress(PermissionError):
        if stat.S_IMODE(status.st_mode) != kept.mode:
            os.chmod(place, kept.mode)
        if status.st_mtime_ns != kept.mtime_ns:
            os.utime(place, ns=(kept.atime_ns, kept.mtime_ns))


def _same_file(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _xattrs_of(parent: int, name: bytes) -> dict[bytes, bytes]:
    return read_xattrs(b"/proc/self/fd/%d/%b" % (parent, name))

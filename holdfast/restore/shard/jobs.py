"""One file of a shard on its way: compared with what is there, written under a temporary name, named when whole.

What may become of it: left alone (the rule), kept with its attributes corrected, or written again, taking over what the
old file has right. A file with more names than the snapshot knows of is never corrected in place: its other names may
be of use elsewhere.
"""

import os
import stat
from collections.abc import Container
from typing import Final

import msgspec

from holdfast.format.tree import Node
from holdfast.repository.index.map import IndexMap
from holdfast.restore.documents import FilePlan, Outcome
from holdfast.restore.node_attributes import attributes_of
from holdfast.restore.rules import Rules
from holdfast.restore.shard.contents import ContentReader, Piece, matching_stretches, pieces_of
from holdfast.restore.target import look, looks_equal, may_overwrite
from holdfast.safe_fs.attributes import (
    Attributes,
    apply_to_descriptor,
    complete_new_file,
    differences,
    read_xattrs,
)
from holdfast.safe_fs.directories import Directories, Directory
from holdfast.safe_fs.durable import FileSystems
from holdfast.safe_fs.replace import replace
from holdfast.safe_fs.sparse import copy_range
from holdfast.safe_fs.temporary import create, discard, open_existing, temporary_name
from holdfast.terms import Overwrite

_PERMISSIONS: Final = 0o777
_PRIVATE: Final = 0o600
_CAREFUL_RULES: Final = frozenset((Overwrite.NEVER, Overwrite.IF_NEWER))


class Job(msgspec.Struct, gc=False):
    """A file and how far it is. missing: the pieces that must be fetched into `fd`; outcome: empty while it is open."""

    index: int
    plan: FilePlan
    directory: bytes
    name: bytes
    fd: int = -1
    temporary: bytes = b""
    missing: list[Piece] = []
    outcome: bytes = b""
    kept_bytes: int = 0
    written_bytes: int = 0
    wanted: Attributes | None = None
    failure: str = ""
    warnings: list[str] = []

    @property
    def node(self) -> Node:
        return self.plan.node

    def fail(self, message: str) -> None:
        """The file cannot be restored; the first reason counts."""
        self.failure = self.failure or message
        self.outcome = Outcome.FAILED


class Workbench:
    """What all jobs of one attempt at a shard share. Belongs to one thread."""

    def __init__(
        self,
        *,
        index: IndexMap,
        directories: Directories,
        obstacles: Container[bytes],
        mark: bytes,
        token: str,
        repeated: bool,
        rules: Rules,
    ) -> None:
        self.directories = directories
        self.file_systems = FileSystems()
        self.reader = ContentReader()
        self._index = index
        self._options = rules.options
        self.obstacles = obstacles
        self._mark = mark
        self._token = token.encode()
        self._repeated = repeated
        self._rules = rules
        self._own_ids = (os.geteuid(), os.getegid())

    def prepare(self, job: Job) -> bool:
        """Decide what must be done, and begin it; False when the file on disk stays (the outcome says why).

        Raises:
            OSError, HoldfastError: about this path, unless os_failures says otherwise.
        """
        parent = self.directories.make(job.directory, self.obstacles)
        pieces = pieces_of(self._index, job.plan.content, job.plan.start)
        old = self._open_old(job, parent)
        try:
            if old >= 0:
                self._compare(job, old, pieces)
            else:
                job.missing = pieces
            if job.outcome:
                return False
            self._begin(job, parent)
            if old >= 0:
                for offset, length in matching_stretches(pieces, job.missing):
                    copy_range(old, job.fd, offset, length)
            return True
        finally:
            if old >= 0:
                os.close(old)

    def _open_old(self, job: Job, parent: Directory) -> int:
        """The regular file that is there; -1 when there is none to compare with, or it must not be touched."""
        rule = self._options.overwrite
        if job.plan.expected == "new" and not self._repeated and rule not in _CAREFUL_RULES:
            return -1
        present = look(self.directories, job.directory, job.name)
        if present is None:
            return -1
        if not may_overwrite(rule, job.node, present) and not looks_equal(job.node, present):
            job.outcome = Outcome.SKIPPED
        if job.outcome or not stat.S_ISREG(present.st_mode):
            return -1
        try:
            return open_existing(parent.fd, job.name)
        except (PermissionError, FileNotFoundError):
            return -1

    def _compare(self, job: Job, old: int, pieces: list[Piece]) -> None:
        """Sets the outcome where the old file stays; else `missing` is what it does not have.

        Where the rule forbids to overwrite, an equal file is one that an earlier attempt of this run has restored.
        """
        status = os.fstat(old)
        trusted = self._options.overwrite is Overwrite.IF_CHANGED and looks_equal(job.node, status)
        job.missing = [] if trusted else self.reader.differing(old, pieces)
        job.kept_bytes = sum(piece.length for piece in pieces) - sum(piece.length for piece in job.missing)
        whole = not job.missing and status.st_size == job.plan.size
        if not may_overwrite(self._options.overwrite, job.node, status):
            job.outcome = Outcome.UNCHANGED if whole else Outcome.SKIPPED
        elif whole and status.st_nlink <= max(1, job.node.links):
            job.outcome = self._correct(job, old, status)

    def _correct(self, job: Job, old: int, status: os.stat_result) -> bytes:
        wanted = attributes_of(job.node)
        if not differences(status, read_xattrs(old), wanted):
            return Outcome.UNCHANGED
        job.warnings += apply_to_descriptor(old, wanted)
        return Outcome.UPDATED

    def _begin(self, job: Job, parent: Directory) -> None:
        name = temporary_name(self._mark, job.plan.number, self._token)
        job.wanted = attributes_of(job.node)
        # The final permissions where the file has its final owner from the start; else nobody's but ours.
        is_ours = (job.wanted.uid, job.wanted.gid) == self._own_ids
        job.fd = create(parent.fd, name, job.wanted.mode & _PERMISSIONS if is_ours else _PRIVATE)
        job.temporary = name
        self.file_systems.touch(parent.fd, parent.device)

    def complete(self, job: Job) -> None:
        """All bytes are written: attributes, then close. Durable only after the file systems were flushed."""
        parent = self.directories.open(job.directory)
        wanted = job.wanted or attributes_of(job.node)
        job.warnings += complete_new_file(job.fd, job.plan.size, wanted, inherits_acl=parent.has_default_acl)
        self.file_systems.finish_file(job.fd, parent.device)
        self.close(job)

    def name(self, job: Job) -> None:
        """Give a durable file its final name.

        Raises:
            OSError: ENOTEMPTY when a directory with entries is in the way that may not be removed.
        """
        parent = self.directories.open(job.directory)
        replace(
            parent,
            job.temporary,
            job.name,
            keeps=self._rules.keeps(job.directory),
            protected=self._rules.protected,
        )
        job.temporary = b""
        job.outcome = Outcome.RESTORED

    def close(self, job: Job) -> None:
        """Close the temporary file."""
        if job.fd >= 0:
            os.close(job.fd)
            job.fd = -1

    def abandon(self, job: Job) -> None:
        """Remove what is left of a job that did not get its name."""
        self.close(job)
        if job.temporary:
            discard(self.directories.open(job.directory).fd, job.temporary)
            job.temporary = b""

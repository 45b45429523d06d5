"""What may take the place of what is there: entries of the same kind by the overwrite rule, others only when asked.

A regular file, or a link where a directory belongs, makes room for something of another kind only where `--delete` or
an overwrite rule says so; a directory that is not empty only with `--delete`; a socket never. What they hold may be the
only copy: the snapshot has nothing of it.
"""

import os
import stat
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from holdfast.format.tree import Node
from holdfast.restore.documents import Leads, Opening, Replaced
from holdfast.restore.left_out import LeftOut
from holdfast.restore.plan.ways import SourceWays
from holdfast.restore.run import RestoreRun
from holdfast.restore.target import may_overwrite, protected_directories
from holdfast.safe_fs.directories import Directories, join
from holdfast.safe_fs.remove import Gone, Keeps, remove_tree

_KINDS: Final = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a link",
    stat.S_IFSOCK: "a socket",
}
_MADE_ROOM: Final = "made room for an entry of another kind"


class Place(Enum):
    """What the rules say of an entry's place. PROTECTED: the overwrite rule keeps what is there."""

    FREE = auto()
    PROTECTED = auto()
    TAKEN = auto()


class Rules:
    """What a request, and the snapshot that it is about, say of places on disk."""

    def __init__(self, run: RestoreRun, opening: Opening) -> None:
        self.options = run.options
        self._limits = run.options.limits_selection or bool(opening.only)
        self._left_out = LeftOut(opening.coverage) if run.options.delete else None
        self.protected = protected_directories(run)
        self._ways = SourceWays(opening.coverage.paths, opening.coverage.subfolder)
        self.follows_links = opening.in_place

    def leads(self, path: bytes, *, selected: bool) -> Leads | None:
        """Whether a directory (b"" for the restored tree's root) is no content, but leads to it, and to what."""
        if self._ways.has(path):
            return Leads.TO_SOURCE
        return None if selected else Leads.TO_SELECTION

    @property
    def root_leads(self) -> Leads | None:
        """The same of the root of the restored tree."""
        return self.leads(b"", selected=not self._limits)

    def judge(self, node: Node, present: os.stat_result) -> Place:
        """Whether `node` may take the place of what is present; whether a directory is empty is not known here."""
        if not may_overwrite(self.options.overwrite, node, present):
            return Place.PROTECTED
        kind = stat.S_IFMT(present.st_mode)
        if _is_of_kind(node, kind):
            return Place.FREE
        if kind == stat.S_IFSOCK:
            return Place.TAKEN
        holds_something = kind == stat.S_IFREG or (kind == stat.S_IFLNK and node.is_directory)
        if holds_something and not (self.options.replace_kinds or self.options.delete):
            return Place.TAKEN
        return Place.FREE

    def keeps(self, directory: bytes) -> Keeps | None:
        """What stays of a directory that is in the way of something else; None: all of it."""
        return None if self._left_out is None else self._left_out.below(directory)

    def replaced(
        self, directories: Directories, directory: bytes, node: Node, present: os.stat_result
    ) -> Sequence[Replaced] | None:
        """What makes room for `node`, with all that is in it; None where something of it has to stay."""
        kind = stat.S_IFMT(present.st_mode)
        if _is_of_kind(node, kind):
            return ()
        if kind != stat.S_IFDIR:
            size = present.st_size if kind == stat.S_IFREG else 0
            return (Replaced(join(directory, node.name), size, _MADE_ROOM),)
        removal = remove_tree(
            directories.open(directory),
            node.name,
            protected=self.protected,
            keeps=self.keeps(directory) or _keeps_what_is_in(node.name),
            trial=True,
        )
        gone = []
        for entry in removal:
            if not isinstance(entry, Gone):
                return None
            gone.append(Replaced(join(directory, entry.path), entry.size, _MADE_ROOM))
        return gone


def in_the_way(present: os.stat_result) -> str:
    """Why a path whose place is taken was not restored."""
    kind = stat.S_IFMT(present.st_mode)
    words = f"{_KINDS.get(kind, 'an entry')} of another kind is in its way"
    if kind == stat.S_IFSOCK:
        return words
    if kind == stat.S_IFDIR:
        return words + ", and not empty; --delete replaces it"
    return words + "; --overwrite or --delete replaces it"


def _keeps_what_is_in(name: bytes) -> Keeps:
    return lambda _fd, path, _status: path != name


def _is_of_kind(node: Node, kind: int) -> bool:
    return stat.S_IFMT(node.st_mode) == kind

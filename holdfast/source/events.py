"""What a walk tells: entries, the directories around them, and what cannot be read."""

import os
from dataclasses import dataclass
from typing import ClassVar

from holdfast.format.coverage import Gap
from holdfast.format.tree import Node
from holdfast.source.ways import join


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that could not be read, and why, in the system's words."""

    path: bytes
    message: str
    troubles: ClassVar[tuple["Trouble", ...]] = ()


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that is stored, but not quite as one may think. lost: something of it is not."""

    path: bytes
    message: str
    lost: bool
    troubles: ClassVar[tuple["Trouble", ...]] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The innermost directory is not read whole, and why; once for each reason, or again after a page.

    What could not be read comes as Unreadable; what patterns leave out is told by the patterns.
    """

    gap: Gap
    troubles: ClassVar[tuple["Trouble", ...]] = ()


Trouble = Unreadable | Remark | LeftOut


@dataclass(frozen=True, slots=True)
class EnterDirectory:
    """A directory begins. node: its metadata, without a subtree. troubles: what went wrong with it, or in its list."""

    path: bytes
    name: bytes
    node: Node
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True, slots=True)
class LeaveDirectory:
    """The innermost open directory ends. troubles: what is to be said of it as a whole."""

    path: bytes
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True, slots=True)
class Files:
    """Regular files that follow each other in one directory, each name with its status.

    directory_fd: the open directory, valid until the walk goes on. troubles: what is to be said besides.
    """

    directory: bytes
    directory_fd: int
    names: list[bytes]
    stats: list[os.stat_result]
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry that is no directory. directory_fd: its open directory, valid until the walk goes on.

    troubles: what is to be said of it, though it is stored.
    """

    directory: bytes
    name: bytes
    stat: os.stat_result
    directory_fd: int
    troubles: tuple[Trouble, ...] = ()

    @property
    def path(self) -> bytes:
        return join(self.directory, self.name)


WalkEvent = EnterDirectory | LeaveDirectory | Files | Entry | Trouble

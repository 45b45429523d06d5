"""What a forgetting was asked, and the documents that its run leaves: the opening with its decision, and the report."""

from typing import Final

import msgspec

from holdfast.repository.choice import Choice
from holdfast.retention.groups import BY_SOURCE
from holdfast.retention.policy import EMPTY, Policy
from holdfast.retention.rules import DEFAULT_BIN_S

REPORT: Final = "report"


class ForgetOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be forgotten. snapshots: ids, or beginnings of them; then nothing else says what goes.

    hosts, paths, tags: which snapshots are looked at, as restic's filters have it. policy: for all of them; where it is
    empty, the settings' own. source: only this one's. remove_all: without any rule, all that are looked at.
    """

    snapshots: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    group_by: str = BY_SOURCE
    policy: Policy = EMPTY
    source: str = ""
    remove_all: bool = False

    @property
    def which(self) -> Choice:
        """The snapshots that are looked at, of whatever source: those of one are told by its name alone."""
        return Choice(hosts=self.hosts, paths=self.paths, tags=self.tags)

    @property
    def is_filtered(self) -> bool:
        """Whether it looks at some snapshots only."""
        return bool(self.hosts or self.paths or self.tags or self.source)


class Going(msgspec.Struct, frozen=True, array_like=True):
    """A snapshot that goes, and why."""

    snapshot: bytes
    reason: str


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided. stays: how many were looked at and stay. by: who asked, as the bin says it."""

    decided_ns: int
    going: tuple[Going, ...] = ()
    stays: int = 0
    bin_s: float = DEFAULT_BIN_S
    by: str = ""


class ForgetReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. forgotten: those that are away. spared: those that something holds by now, with the reason.

    emptied: how many left the bin, because their time was over.
    """

    forgotten: tuple[bytes, ...] = ()
    spared: tuple[Going, ...] = ()
    emptied: int = 0

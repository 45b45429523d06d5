"""Which packs go, which are copied from first, and which stay: a choice of numbers, without any storage.

As `restic prune` chooses (its internal/repository/prune.go, `decidePackAction`), so that its users find what they know:

- a pack of which nothing is used goes;
- one that is used in part, or mixes types, is a candidate: those with trees first, then by their share of unused bytes.
  They are copied from until what stays unused is below `max_unused`, or `max_repack` bytes would be exceeded; trees are
  bounded by the second alone, because every client keeps them in its cache;
- small packs that are used are joined, if there are ten of a type.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from holdfast.errors import UsageError
from holdfast.format.index import BlobType
from holdfast.prune.documents import PruneOrder
from holdfast.repository.index.marks import PackUse
from holdfast.units import parse_size

_FEW: Final = 10
_SMALL_PART: Final = 4
_PERCENT: Final = re.compile(r"(\d{1,2}(?:\.\d+)?)%", re.ASCII)
_UNLIMITED: Final = "unlimited"
_NO_LIMIT: Final = 1 << 62


@dataclass(slots=True)
class Decision:
    """Packs by what becomes of them. left_unused_bytes: in those that stay."""

    drop: list[PackUse] = field(default_factory=list)
    move: list[PackUse] = field(default_factory=list)
    keep: list[PackUse] = field(default_factory=list)
    left_unused_bytes: int = 0


@dataclass(slots=True)
class _Choosing(Decision):
    """A decision that is being made. most_moved, moved: bytes of packs that are copied from."""

    most_moved: int = 0
    moved: int = 0

    def takes(self, pack: PackUse) -> bool:
        """Copy from a pack, unless that is too much by now; whether it does."""
        if self.moved + pack.size_bytes > self.most_moved:
            return False
        self.move.append(pack)
        self.moved += pack.size_bytes
        self.left_unused_bytes -= unused_bytes(pack)
        return True


def unused_bytes(pack: PackUse) -> int:
    """What of a pack nobody needs."""
    return 0 if pack.used == pack.blobs else pack.size_bytes - pack.used_bytes


def decide(packs: Sequence[PackUse], order: PruneOrder, *, pack_size_bytes: int) -> Decision:
    """Choose. pack_size_bytes: what new packs measure.

    Raises:
        UsageError: a limit of the order cannot be read.
    """
    most_unused = parse_max_unused(order.max_unused, sum(pack.used_bytes for pack in packs))
    chosen = _Choosing(most_moved=parse_max_repack(order.max_repack))
    small_bytes = pack_size_bytes // _SMALL_PART if order.repack_small else 0
    candidates: list[PackUse] = []
    rest: list[PackUse] = []
    for pack in packs:
        chosen.left_unused_bytes += unused_bytes(pack) if pack.used else 0
        if not pack.used:
            chosen.drop.append(pack)
        elif not order.full_disk and (pack.used < pack.blobs or pack.kind is None):
            candidates.append(pack)
        else:
            rest.append(pack)
    for pack in sorted(candidates, key=_worth_first):
        is_wanted = chosen.left_unused_bytes > most_unused or pack.kind is not BlobType.DATA
        if not (is_wanted and chosen.takes(pack)):
            rest.append(pack)
    for kind in BlobType:
        small = [pack for pack in rest if pack.kind is kind and pack.size_bytes < small_bytes]
        if len(small) >= _FEW and not order.full_disk:
            taken = {pack.id for pack in small if chosen.takes(pack)}
            rest = [pack for pack in rest if pack.id not in taken]
    chosen.keep = rest
    return chosen


def parse_max_unused(text: str, used_bytes: int) -> int:
    """How many bytes that nobody needs may stay; a share is one of the repository as it will be.

    Raises:
        UsageError: it is neither a share nor a size.
    """
    percent = _PERCENT.fullmatch(text)
    if percent is not None:
        share = float(percent[1]) / 100
        return int(used_bytes * share / (1 - share))
    return _size(text, "how much may stay unused")


def parse_max_repack(text: str) -> int:
    """How many bytes may be read for copying. Raises UsageError."""
    return _size(text, "how much may be copied")


def _size(text: str, what: str) -> int:
    if text == _UNLIMITED:
        return _NO_LIMIT
    try:
        return parse_size(text)
    except ValueError as error:
        raise UsageError(
            f"{text[:80]!r} does not say {what}",
            hint='Write a size as "10GiB", "unlimited", "0", or for what stays unused a share as "5%".',
        ) from error


def _worth_first(pack: PackUse) -> tuple[bool, float, bytes]:
    return pack.kind is BlobType.DATA, -unused_bytes(pack) / pack.size_bytes, pack.id

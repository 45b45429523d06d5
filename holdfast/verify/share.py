"""How much of a repository's packs a verification reads, and which: written as a person does.

all, 100%      every pack
none           no pack: structure only
5%             that share of the packs, others in each run
10GiB          as many as make up that much, others in each run
2/7            the second of seven parts; the parts are restic's (`check --read-data-subset`)
day/7          the part whose turn it is today: all in seven days
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.errors import UsageError
from holdfast.repository.index.map import PackInfo
from holdfast.units import NS_PER_S, parse_size

_MOST_PARTS: Final = 256
"""A part is chosen by the first byte of a pack's id."""
_PART: Final = re.compile(r"(?P<part>\d{1,3}|day)/(?P<parts>\d{1,3})", re.ASCII)
_PERCENT: Final = re.compile(r"(?P<number>\d{1,3}(?:\.\d+)?)%", re.ASCII)
_WHOLE: Final = 100.0
_NS_PER_DAY: Final = 86_400 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Exactly one of these says what is read; part 0 of `parts` is the one of the day."""

    percent: float | None = None
    size_bytes: int | None = None
    part: int | None = None
    parts: int = 1

    @property
    def is_all(self) -> bool:
        """Whether every pack is read."""
        return self.percent == _WHOLE

    @property
    def is_none(self) -> bool:
        """Whether no pack is read."""
        return self.percent == 0

    def part_at(self, now_ns: int) -> int | None:
        """Which part of `parts` it is, from 0; None where it is none of so many."""
        if self.part is None:
            return None
        return self.part - 1 if self.part else (now_ns // _NS_PER_DAY) % self.parts


def parse_share(text: str) -> Share:
    """The share that a person wrote.

    Raises:
        UsageError: it is none.
    """
    if text in ("all", "none"):
        return Share(percent=_WHOLE if text == "all" else 0.0)
    if (percent := _PERCENT.fullmatch(text)) is not None and 0 < float(percent["number"]) <= _WHOLE:
        return Share(percent=float(percent["number"]))
    if (part := _PART.fullmatch(text)) is not None:
        number = 0 if part["part"] == "day" else int(part["part"])
        parts = int(part["parts"])
        if 1 <= parts <= _MOST_PARTS and number <= parts and (number or part["part"] == "day"):
            return Share(part=number, parts=parts)
    else:
        try:
            size = parse_size(text)
        except ValueError:
            size = 0
        if size:
            return Share(size_bytes=size)
    raise UsageError(
        f"{text[:80]!r} is no share of a repository",
        hint='Write "all", "none", "5%", "10GiB", "2/7" (the second of seven parts) or "day/7".',
    )


def choose(packs: Sequence[PackInfo], share: Share, *, seed: bytes, now_ns: int) -> list[PackInfo]:
    """The packs to read, in the order of their ids. seed: who has the same chooses the same."""
    part = share.part_at(now_ns)
    if part is not None:
        chosen = [pack for pack in packs if pack.id[0] % share.parts == part]
    elif share.size_bytes is not None:
        chosen = _up_to(_shuffled(packs, seed), share.size_bytes)
    elif share.percent is None or share.is_none:
        chosen = []
    else:
        count = len(packs) if share.is_all else max(1, round(len(packs) * share.percent / _WHOLE))
        chosen = _shuffled(packs, seed)[:count]
    return sorted(chosen, key=lambda pack: pack.id)


def _shuffled(packs: Sequence[PackInfo], seed: bytes) -> list[PackInfo]:
    return sorted(packs, key=lambda pack: hashlib.sha256(seed + pack.id).digest())


def _up_to(packs: Sequence[PackInfo], size_bytes: int) -> list[PackInfo]:
    chosen: list[PackInfo] = []
    have = 0
    for pack in packs:
        if have >= size_bytes:
            break
        chosen.append(pack)
        have += pack.size_bytes
    return chosen

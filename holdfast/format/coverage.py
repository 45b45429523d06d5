"""A snapshot says which directories were read whole: by a mark on the node of each that was not, and a tag.

A name that a covered directory of the snapshot lacks was not there when it was backed up. So a restore may remove it;
nowhere else (ADR 0036).

The mark stands in the field `error` of the directory's node. restic has this field and does nothing with it, so it
survives `copy`, `tag`, `rewrite` and `prune`, and an unchanged subtree keeps its marks. A directory without a mark was
read whole, if the snapshot was written by a program that sets marks. That is what the tag says, by a hash over
what it speaks for: the trees, and the rules by which names were left out. Where others have changed these, or the tag
is gone, nobody vouches, and nothing counts as covered.

Source for `error`: restic, internal/data/node.go.
"""

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from holdfast.format.snapshot import Snapshot

COVERAGE_TAG: Final = "holdfast-covers:"
_PREFIX: Final = "not read whole: "
_JOINT: Final = ", "
_DIGEST_DIGITS: Final = 16


class Gap(StrEnum):
    """Why a snapshot may lack what a directory held.

    UNREADABLE: it, or something in it, could not be read. LEFT_OUT: something in it was left out for its size, by a
    marker file, or because it is the repository (what patterns leave out is told by the patterns). MOUNT: another file
    system was mounted here, stored or not; so it says the same of everything below.
    """

    UNREADABLE = "unreadable"
    LEFT_OUT = "left out"
    MOUNT = "mount point"


Gaps = frozenset[Gap]
NO_GAPS: Final[Gaps] = frozenset()


def mark_of(gaps: Iterable[Gap]) -> str:
    """The mark for a directory with these gaps; empty for none."""
    words = sorted(gap.value for gap in gaps)
    return _PREFIX + _JOINT.join(words) if words else ""


def gaps_of(mark: str) -> Gaps:
    """The gaps that a node's mark tells. A text that is not ours is some error, so something was not read."""
    if not mark:
        return NO_GAPS
    words = mark.removeprefix(_PREFIX).split(_JOINT)
    known = {gap.value for gap in Gap}
    if not mark.startswith(_PREFIX) or not known.issuperset(words):
        return frozenset((Gap.UNREADABLE,))
    return frozenset(map(Gap, words))


def coverage_tag(snapshot: Snapshot, root: str = "") -> str:
    """The tag that vouches for a snapshot's marks. root: the mark of "/" itself, which has no node."""
    return f"{COVERAGE_TAG}{_digest(snapshot, root)}" + (":" + root.removeprefix(_PREFIX) if root else "")


def root_gaps(snapshot: Snapshot) -> Gaps | None:
    """The gaps of "/" in a snapshot whose marks can be believed; None where nobody vouches for them."""
    for tag in snapshot.tags or ():
        if tag.startswith(COVERAGE_TAG):
            _, _, words = tag.removeprefix(COVERAGE_TAG).partition(":")
            root = _PREFIX + words if words else ""
            if coverage_tag(snapshot, root) == tag:
                return gaps_of(root)
    return None


def _digest(snapshot: Snapshot, root: str) -> str:
    spoken_for = (snapshot.tree, snapshot.excludes or [], snapshot.filters, root)
    return hashlib.sha256(msgspec.json.encode(spoken_for)).hexdigest()[:_DIGEST_DIGITS]

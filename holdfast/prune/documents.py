"""The documents of a prune in its run workspace, and the order that it is given.

opening                     what is walked, decided when the run began (created once)
mark/pages/0, plans/, …     the only page of marking, with `roots` beside it: trees in shards, and how much each uses
repack/pages/0              the plan (created once), with `drop`, `move`, `unnamed` and `files` beside it
repack/plans/, shards/, …   the packs to copy blobs out of, in shards, and what came of each
switched                    that the index names the packs no more (created once)
repack/going/<token>/<n>    these packs, in batches
deleted/<n>                 what came of a batch (created once)
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from holdfast.ids import ID_BYTES, PackId
from holdfast.runs import plan
from holdfast.runs.run import Run

MARK: Final = "mark/"
ROOTS: Final = "roots"
REPACK: Final = "repack/"
SWITCHED: Final = "switched"


def split_ids(ids: bytes) -> list[bytes]:
    """Ids that lie end to end, one by one."""
    return [ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES)]


class Root(msgspec.Struct, frozen=True, array_like=True):
    """A tree that must stay whole. snapshot: whose it is; empty for one that is no snapshot now (in the bin, held)."""

    tree: bytes
    snapshot: bytes = b""


class PruneOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was asked for.

    max_unused: how much that nobody needs may stay, as restic's --max-unused: "5%", a size, "0" or "unlimited".
    max_repack: how many bytes of packs are read for copying at most, a size, or "unlimited".
    repack_small: join small packs to larger ones, where there are ten or more.
    full_disk: free whole packs and write as little as can be; nothing is copied.
    roots: what counts as used beside the snapshots: those in the bin, and what is held.
    verified_ns: when the repository was last found sound, 0 for never. alarm: why nothing may be removed now.
    """

    max_unused: str = "5%"
    max_repack: str = "unlimited"
    repack_small: bool = True
    full_disk: bool = False
    roots: tuple[Root, ...] = ()
    verified_ns: int = 0
    alarm: str = ""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided when the run began."""

    order: PruneOrder
    started_ns: int


class MarkPage(plan.Page, frozen=True, kw_only=True):
    """The only page of marking. snapshots: how many of its roots are snapshots."""

    snapshots: int = 0


class Roots(msgspec.Struct, frozen=True, array_like=True):
    """All that is walked: of snapshots, and of what is none now."""

    roots: tuple[Root, ...]


class MarkShard(msgspec.Struct, frozen=True, kw_only=True):
    """Trees that are walked together, ids end to end. trees: with all below them; alone: without the trees below."""

    trees: bytes
    alone: bytes = b""


class MarkResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a shard's trees use: the ids are in `parts` documents of this name (kept.py).

    trees: how many were walked. lost: roots in the bin that lack something (used.py, `lost_roots`).
    """

    name: str
    parts: int
    trees: int
    lost: int = 0


class UsedPart(msgspec.Struct, frozen=True, array_like=True):
    """Ids, end to end."""

    trees: bytes
    data: bytes


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Packs and their bytes."""

    packs: int = 0
    size_bytes: int = 0
    blobs: int = 0


class PrunePlan(plan.Page, frozen=True, kw_only=True):
    """What is to be done, in numbers; decided once. Bytes are those of files in the repository.

    total: the packs that the index names. unused_bytes: of blobs that nobody needs, copies included. drop: packs of
    which nothing is needed. move: packs to copy from, which go afterwards; moved_bytes: what is copied. Others stay.
    unnamed: packs in no index, if still so when nobody else is there. left_unused_bytes: what stays although nobody
    needs it. requests: about how many the storage will get. damaged: packs with marks of damage that something needs.
    """

    repository: str
    total: Totals
    unused_bytes: int
    drop: Totals
    move: Totals
    moved_bytes: int
    unnamed: Totals
    left_unused_bytes: int
    requests: int
    damaged: int = 0

    @property
    def freed_bytes(self) -> int:
        """What the repository gets smaller by."""
        return self.drop.size_bytes + self.unnamed.size_bytes + self.move.size_bytes - self.moved_bytes


class PackList(msgspec.Struct, frozen=True, array_like=True):
    """Packs with the sizes of their files."""

    ids: bytes = b""
    sizes: tuple[int, ...] = ()

    @classmethod
    def of(cls, packs: Mapping[PackId, int]) -> "PackList":
        """Sorted by id."""
        ids = sorted(packs)
        return cls(b"".join(ids), tuple(packs[pack] for pack in ids))

    def packs(self) -> dict[PackId, int]:
        """Their sizes by id."""
        return dict(zip(map(PackId, split_ids(self.ids)), self.sizes, strict=True))


class IndexFiles(msgspec.Struct, frozen=True, array_like=True):
    """The ids of the index files that a plan goes by, end to end."""

    ids: bytes


class PackToMove(msgspec.Struct, frozen=True, array_like=True):
    """A pack, and the blobs of it that are used: trees, then data; ids end to end."""

    id: bytes
    size_bytes: int
    trees: bytes
    data: bytes


class RepackShard(msgspec.Struct, frozen=True, kw_only=True):
    """Packs whose used blobs are copied together."""

    packs: tuple[PackToMove, ...]


class RepackResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a shard. stay: packs with a used blob that cannot be read; damaged: these blobs."""

    blobs: int = 0
    bytes_read: int = 0
    packs_written: int = 0
    bytes_written: int = 0
    stay: tuple[bytes, ...] = ()
    damaged: tuple[bytes, ...] = ()


class Switched(msgspec.Struct, frozen=True, kw_only=True):
    """The index names these packs no more. They are in `batches` documents under `token`.

    taken_back: packs that the plan had let go, and that are used again. unnamed: packs that were in no index, and are
    removed. alone_s: for how long nobody else could use the repository.
    """

    token: str
    batches: int
    packs: int
    size_bytes: int
    taken_back: int = 0
    unnamed: int = 0
    unnamed_bytes: int = 0
    alone_s: float = 0.0


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a batch. spared: an index names them again. left: still there, although they were removed, or
    because another prune was alone since the index was switched: the next one lets them go.
    """

    packs: int
    size_bytes: int
    spared: int = 0
    left: int = 0


MarkPlan: TypeAlias = plan.Plan[MarkPage, plan.NoRecord, MarkShard, MarkResult]
RepackPlan: TypeAlias = plan.Plan[PrunePlan, plan.NoRecord, RepackShard, RepackResult]


class PruneRun(Run):
    """One prune, as the calls of this package see it."""

    @property
    def marks(self) -> MarkPlan:
        """The roots in shards, and what they use."""
        return plan.Plan(
            self.workspace,
            pages=MarkPage,
            records=plan.NO_RECORDS,
            shards=MarkShard,
            results=MarkResult,
            folder=MARK,
        )

    @property
    def plan(self) -> RepackPlan:
        """What is to be done, and the packs to copy from."""
        return plan.Plan(
            self.workspace,
            pages=PrunePlan,
            records=plan.NO_RECORDS,
            shards=RepackShard,
            results=RepackResult,
            folder=REPACK,
        )

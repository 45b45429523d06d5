"""A repair keeps these documents in its run workspace, beside those of its plan (runs/plan.py).

opening                    what is repaired: decided once
pages/0, plans/, shards/   the only page: shards of packs to read, or of snapshots to walk; what was found there
lost                       of packs: how many blobs cannot be had, before the packs go
report                     what all of it came to: the last word

The checkpoint of an attempt at a shard is the result of what it has done so far, in the order of the plan.
"""

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import msgspec

from holdfast.format.index import BlobEntry, BlobType, PackColumns
from holdfast.ids import ID_BYTES, PackId
from holdfast.repository.choice import ALL, Choice
from holdfast.runs import plan
from holdfast.runs.run import Run
from holdfast.terms import RepairKind
from holdfast.verify.documents import LostPath

LOST: Final = "lost"
REPORT: Final = "report"


class RepairOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be repaired.

    read_all_packs: of the index; go by the headers of all packs. packs: their ids in hex; none for all that are known
    to be damaged. snapshots: "latest", ids or beginnings of ids; without any, all that the filters let pass. forget:
    remove what was stored again, and snapshots of which nothing can be saved. dry_run: only look, and say what would be
    done.
    """

    kind: RepairKind
    read_all_packs: bool = False
    packs: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    which: Choice = ALL
    forget: bool = False
    dry_run: bool = False


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What is repaired, decided when the run began. snapshots: those that are walked, oldest first.

    unreadable: snapshots whose files cannot be read, and that were named.
    """

    order: RepairOrder
    snapshots: tuple[bytes, ...] = ()
    unreadable: tuple[bytes, ...] = ()


class Page(plan.Page, frozen=True, kw_only=True):
    """The only page of the plan. things: packs to read, or snapshots to walk. size_bytes: of whole packs to read."""

    things: int = 0
    size_bytes: int = 0


class PlannedPack(msgspec.Struct, frozen=True, array_like=True):
    """One pack to read, and what its file measures."""

    id: bytes
    size_bytes: int


class ShardPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The packs or the snapshots of one shard."""

    packs: tuple[PlannedPack, ...] = ()
    snapshots: tuple[bytes, ...] = ()


class FoundPack(msgspec.Struct, frozen=True, array_like=True):
    """What a pack says in its header, as columns: ids end to end, a byte for each kind."""

    id: bytes
    size_bytes: int
    ids: bytes
    kinds: bytes
    lengths: tuple[int, ...]
    plain_lengths: tuple[int, ...]

    @classmethod
    def of(cls, pack: PackId, size_bytes: int, blobs: Sequence[BlobEntry]) -> "FoundPack":
        """The same as columns."""
        return cls(
            pack,
            size_bytes,
            b"".join(blob.id for blob in blobs),
            bytes(blob.type for blob in blobs),
            tuple(blob.length for blob in blobs),
            tuple(blob.uncompressed_length for blob in blobs),
        )

    @property
    def columns(self) -> PackColumns:
        """The same as an index file has it."""
        offsets = [0]
        for length in self.lengths[:-1]:
            offsets.append(offsets[-1] + length)
        return PackColumns(
            id=PackId(self.id),
            ids=self.ids,
            types=[BlobType(kind) for kind in self.kinds],
            offsets=offsets[: len(self.lengths)],
            lengths=list(self.lengths),
            uncompressed_lengths=list(self.plain_lengths),
        )


class ShardResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. done: packs that were read, or snapshots that were walked.

    found: headers of packs. damaged: packs whose header cannot be read, or that hold a bad blob. broken: snapshots that
    lack something. touched: the trees in which, or below which, something is wrong, end to end.
    """

    done: int = 0
    bytes_read: int = 0
    found: tuple[FoundPack, ...] = ()
    damaged: tuple[bytes, ...] = ()
    broken: tuple[bytes, ...] = ()
    touched: bytes = b""


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """How many blobs cannot be read from anywhere."""

    blobs: int


class Report(msgspec.Struct, kw_only=True):
    """The outcome. Of a dry run: what it would have been.

    packs_read: whose headers, or all of which, were read. packs_added: that came into the index, or back to what they
    say there. packs_missing: that were taken out of the index, because they are not there. packs_damaged: that stay as
    they are. packs_removed: damaged ones, after what is sound was saved. blobs_lost: that cannot be read from anywhere.
    index_files_removed, index_files_written. snapshots_repaired: pairs of ids, the broken one and the new one.
    snapshots_removed: of which nothing could be saved. snapshots_left: the same, where they were not to go.
    paths: what the repaired snapshots lack now; capped, `path_count` counts on.
    """

    packs_read: int = 0
    packs_added: int = 0
    packs_missing: int = 0
    packs_damaged: int = 0
    packs_removed: int = 0
    blobs_lost: int = 0
    index_files_removed: int = 0
    index_files_written: int = 0
    snapshots_repaired: list[tuple[bytes, bytes]] = []
    snapshots_removed: list[bytes] = []
    snapshots_left: list[bytes] = []
    path_count: int = 0
    paths: list[LostPath] = []


RepairPlan: TypeAlias = plan.Plan[Page, plan.NoRecord, ShardPlan, ShardResult]


class RepairRun(Run):
    """One repair, as the calls of this package see it."""

    @property
    def plan(self) -> RepairPlan:
        """What is looked at."""
        return plan.Plan(
            self.workspace, pages=Page, records=plan.NO_RECORDS, shards=ShardPlan, results=ShardResult
        )


def ids_in(joined: bytes) -> Iterator[bytes]:
    """The ids that lie end to end."""
    return (joined[at : at + ID_BYTES] for at in range(0, len(joined), ID_BYTES))

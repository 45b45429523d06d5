"""What a backup keeps in its run workspace, and the types of that. All are MessagePack: file names are bytes.

    opening               the run's decisions: time, strategy, parent (created once)
    resumed/<time>        when a later attempt began, in nanoseconds; says nothing else
    g<n>/pages/, plans/, shards/, attempts/
                          the plan, its results and the attempts at them: see runs/plan.py and runs/attempts.py
    g<n>/snapshot         the sealed snapshot, before it gets its final name (created once)
    g<n>/committed        the outcome of the commit (created once)

`g<n>` is the generation: 0, and one more after each rescan. The mark of an attempt at a shard says where it began, and
how far it may have read.
"""

from typing import Final

import msgspec

from holdfast.format.coverage import Gap
from holdfast.format.index import IndexPack
from holdfast.format.tree import Node
from holdfast.runs import plan
from holdfast.terms import SelectionTotals, SnapshotTotals, StoredTotals, Strategy

RESUMED: Final = "resumed"


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """The run's decisions, made once."""

    started_ns: int
    strategy: Strategy
    reason: str
    host: str
    parent: bytes = b""
    parent_tree: bytes = b""


class OpenDirectory(msgspec.Struct, frozen=True, kw_only=True):
    """A directory that the walk is inside of at the end of a page.

    same: nothing seen in it so far differs from the parent. children: how many entries were seen. gaps: why it is
    not read whole, as far as the walk has seen.
    """

    name: bytes
    same: bool = False
    children: int = 0
    gaps: tuple[Gap, ...] = ()


class Page(plan.Page, frozen=True, kw_only=True):
    """One page of the walk. The next one goes on at `cursor`."""

    cursor: bytes = b""
    totals: SelectionTotals
    open_directories: tuple[OpenDirectory, ...] = ()


class Enter(msgspec.Struct, frozen=True, array_like=True, tag="e", gc=False):
    """A directory begins. `node` has no subtree yet."""

    node: Node


class Lacks(msgspec.Struct, frozen=True, array_like=True, tag="g", gc=False):
    """The innermost open directory is not read whole."""

    gap: Gap


class Keep(msgspec.Struct, frozen=True, array_like=True, tag="k", gc=False):
    """A node that is complete: unchanged since the parent, with all below it where it is a directory; or no file."""

    node: Node


class Read(msgspec.Struct, frozen=True, array_like=True, tag="r", gc=False):
    """A file that shards read: the next `segments` outcomes, in shard order, belong to it."""

    name: bytes
    segments: int = 1
    known: bool = False


class Unreadable(msgspec.Struct, frozen=True, array_like=True, tag="u", gc=False):
    """Something that could not be read while walking."""

    path: bytes
    message: str


class Remark(msgspec.Struct, frozen=True, array_like=True, tag="m", gc=False):
    """Something to be told of an entry that is stored all the same. lost: something of it is not stored."""

    path: bytes
    message: str
    lost: bool


PlanRecord = Enter | plan.Leave | Lacks | Keep | Read | Unreadable | Remark


class Extent(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of a file, in bytes."""

    offset: int
    length: int
    hole: bool = False


class FileToRead(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One file, or one segment of a large file. `directory` indexes the shard's list of directories.

    start, end: the segment's bytes; end -1 means up to the end of the file, whatever it is by then. known: the
    parent has a file of this name (which decides between "new" and "changed" in the report).
    """

    directory: int
    name: bytes
    size: int
    inode: int
    start: int = 0
    end: int = -1
    known: bool = False


class ShardPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one shard, in walk order. bytes_to_read: without holes, as known when planned."""

    directories: tuple[bytes, ...]
    files: tuple[FileToRead, ...]
    bytes_to_read: int

    def __repr__(self) -> str:
        """Without its file names."""
        return f"<ShardPlan of {len(self.files)} files>"


class Stored(msgspec.Struct, frozen=True, array_like=True, tag="s", gc=False):
    """A file (or segment) is stored. `node` carries metadata and content; size_bytes is what was read, holes included.

    warning: what is to be told of it, as that it changed while it was read, time and again. lost: that something of
    it may not be stored, though its content is, or most of it.
    """

    node: Node
    size_bytes: int
    warning: str = ""
    lost: bool = False


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="f", gc=False):
    """A file could not be read."""

    message: str


Outcome = Stored | Failed


class ShardResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a shard's files, in plan order, and the packs that it wrote."""

    outcomes: tuple[Outcome, ...]
    totals: StoredTotals
    packs: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        """Without its thousands of file names: asyncio asks for it, and logs are not for them."""
        return f"<ShardResult of {len(self.outcomes)} files>"


class OpenFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file that was being read: how far, what of it is stored, and what it looked like when it was opened."""

    offset: int
    content: tuple[bytes, ...]
    identity: tuple[int, int, int, int]


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where the next attempt of a shard goes on. Speaks only of durable bytes.

    position: bytes of the shard's reading that lie before this checkpoint (the scale of the marks). pending: packs that
    are durable, and in no index file yet. borrowed: blobs that other shards of the run had claimed, so that this one
    did not store them (claims.py).
    """

    outcomes: tuple[Outcome, ...]
    position: int
    open_file: OpenFile | None
    pending: tuple[IndexPack, ...]
    packs: tuple[bytes, ...]
    totals: StoredTotals
    borrowed: tuple[bytes, ...] = ()


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt went on at `start` and may have read up to `position` of the shard; written before it does."""

    start: int
    position: int


class CommitResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a commit that wrote its snapshot."""

    snapshot: bytes
    totals: SnapshotTotals
    packs: tuple[bytes, ...] = ()

    @property
    def partial(self) -> bool:
        """Whether something could not be read."""
        return self.totals.errors > 0

"""What a restore keeps in its run workspace, and the types of that.

opening                         the run's decisions: snapshot, tree, target (created once)
space                           the target had room (created once)
pages/, plans/, shards/         the plan and its results: see runs/plan.py
plans/<page>-<token>/links      files with several names that this page saw first
large/<file>                    the one temporary file that all segments of a large file write into (created once)
attempts/                       at a shard, or at the finish: see runs/attempts.py
finish/<token>/part-…           what the finishing did, as the journal gets it (runs/parts.py)
finished                        its outcome (created once)
"""

from enum import StrEnum
from typing import Final

import msgspec

from holdfast.file_list import Chunk
from holdfast.format.coverage import Gap
from holdfast.format.snapshot import SnapshotFilters
from holdfast.format.tree import Node
from holdfast.runs import plan
from holdfast.terms import RestoreTotals

SPACE: Final = "space"
FINISHED: Final = "finished"


def large_name(number: int) -> str:
    return f"large/{number:012d}"


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What a directory keeps that only leads to what is restored: as it was when the restore was planned."""

    mode: int
    mtime_ns: int
    atime_ns: int


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What the snapshot says about what it covers (format/coverage.py).

    vouched: its directories' marks can be believed. paths: the source's roots, as snapshots list them. subfolder: where
    the restored tree lies in the snapshot. gaps: of the restored tree's root.
    """

    vouched: bool = False
    paths: tuple[str, ...] = ()
    subfolder: bytes = b""
    gaps: tuple[Gap, ...] = ()
    excludes: tuple[str, ...] = ()
    filters: SnapshotFilters = SnapshotFilters()


class Leads(StrEnum):
    """Why a directory is entered that is not restored itself.

    TO_SOURCE: it lies above the source's roots, of which alone the snapshot knows. TO_SELECTION: something below it was
    asked for.
    """

    TO_SOURCE = "source"
    TO_SELECTION = "selection"


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """Decided when the run began. tree: of the subfolder, if one was asked for. whole_bytes: of the snapshot's files,
    as its summary says; None where it has none (restic writes it since 0.17).

    only: the name of the one file that was meant by the subfolder; then `tree` is that of its directory.
    ahead: snapshots that are dated in the future, where the latest one was asked for.
    root: the subfolder's own node, applied to the target directory unless that was there before and was named.
    kept: what the target keeps otherwise. in_place: nobody named a target.
    """

    snapshot: bytes
    tree: bytes
    time_ns: int
    host: str
    target: bytes
    root: Node | None = None
    whole_bytes: int | None = None
    ahead: tuple[bytes, ...] = ()
    only: bytes = b""
    kept: Kept | None = None
    in_place: bool = False
    coverage: Coverage = Coverage()


class OpenDirectory(msgspec.Struct, frozen=True, array_like=True):
    """A directory that the walk is inside of at the end of a page.

    entered: its Enter record is written. on_disk: the target has it. obstacle: something else is there instead that
    may be removed. selected: it is restored itself. link: on disk it is a link, which is followed.
    """

    name: bytes
    entered: bool
    on_disk: bool
    obstacle: bool
    whole: bool
    selected: bool = True
    link: bool = False


class Page(plan.Page, frozen=True, kw_only=True):
    """One page of the walk. The next one goes on behind the name `after` in the innermost open directory.

    next_file: the number that the next page's first file gets. matched: numbers of the request's patterns that this
    page or one before has met. broken: how many directories, here or before, could not be gone into.
    """

    next_file: int
    counts: RestoreTotals
    links: int = 0
    open_directories: tuple[OpenDirectory, ...] = ()
    after: bytes = b""
    matched: tuple[int, ...] = ()
    broken: int = 0


class Enter(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    """A directory begins. obstacle: a non-directory in its place may be removed.

    leads: it only leads to what is restored. kept: what it keeps, as it does and was there. link: it is a link, and
    followed.
    """

    node: Node
    obstacle: bool = False
    leads: Leads | None = None
    kept: Kept | None = None
    link: bool = False


class Replaced(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """Something that makes room for an entry of another kind; `path` is relative to the target."""

    path: bytes
    size: int
    message: str


class Special(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """A symbolic link, a device or a fifo, made in the finish."""

    node: Node
    number: int


class Link(msgspec.Struct, frozen=True, array_like=True, tag="h"):
    """A further name of the file that was restored as `to` with number `of`. size: of the file."""

    name: bytes
    number: int
    to: bytes
    of: int
    size: int


class Large(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """A file whose segments are shards of their own: first_shard … first_shard + segments - 1."""

    node: Node
    number: int
    size: int
    first_shard: int
    segments: int
    expected: str


class Skipped(msgspec.Struct, frozen=True, array_like=True, tag="k"):
    """Left alone because of the overwrite rule."""

    name: bytes
    size: int


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """A path that could not be planned; `path` is relative to the target."""

    path: bytes
    message: str


PlanRecord = Enter | plan.Leave | Special | Link | Large | Skipped | Replaced | Failed


class FilePlan(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One file, or one segment of a large file.

    node: without content. content: the ids, 32 bytes each, of what begins at byte `start`. size: of the whole file,
    as its blobs add up. segments: how many shards write into it. expected: "new", "update" or "same", as metadata
    on disk told when it was planned (for the list of a dry run).
    """

    directory: int
    number: int
    node: Node
    size: int
    content: bytes
    start: int = 0
    segments: int = 1
    expected: str = "new"


class ShardPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one shard in walk order.

    directories: front-coded paths: how many bytes to keep of the one before, and what follows; so a file in each of
    10,000 nested directories costs no 100 MB. obstacles: directories in whose place something may be removed. links:
    those that are links on disk, which are followed.
    """

    directories: tuple[tuple[int, bytes], ...]
    files: tuple[FilePlan, ...]
    obstacles: tuple[bytes, ...] = ()
    links: tuple[bytes, ...] = ()


class Problem(msgspec.Struct, frozen=True, array_like=True):
    """Something about one file of a shard; an error unless it is only a warning."""

    index: int
    message: str
    warning: bool = False


class ShardResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a shard's files: one letter of `outcomes` for each, in plan order (see Outcome).

    log: the same as the journal gets it.
    """

    outcomes: bytes
    counts: RestoreTotals
    problems: tuple[Problem, ...] = ()
    log: tuple[Chunk, ...] = ()


class LargeFile(msgspec.Struct, frozen=True, kw_only=True):
    """The temporary file of a large file. Its inode tells it from one that was put there instead."""

    temporary: bytes
    device: int
    inode: int


class FinishResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of the finish; its records are in `parts` parts under `token`."""

    token: str
    parts: int
    counts: RestoreTotals
    errors_of_run: int
    incomplete_of_run: int = 0


class KnownLink(msgspec.Struct, frozen=True, array_like=True):
    """The first name of a file that has several; `content` is a hash over its blob ids."""

    inode: int
    device: int
    content: bytes
    path: bytes
    number: int


class KnownLinks(msgspec.Struct, frozen=True, kw_only=True):
    """Those of one page."""

    links: tuple[KnownLink, ...]


class Outcome:
    """The letters of ShardResult.outcomes."""

    RESTORED: Final = b"r"
    UPDATED: Final = b"u"
    UNCHANGED: Final = b"="
    SKIPPED: Final = b"k"
    FAILED: Final = b"f"
    SEGMENT_WRITTEN: Final = b"w"
    SEGMENT_MATCHES: Final = b"m"

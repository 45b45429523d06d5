"""Trees are cut into shards by their paths, so that no two shards walk the same trees, and each has some of the work.

Snapshots of one source have nearly all of their trees in common, and what has changed lies at the same paths. So from
the roots down, for all snapshots at once, directories are listed until there are enough paths. A shard gets all that
snapshots have at some of the paths, each tree once. Trees above them are looked at alone.

A shard of the same trees has the same outcome, which is kept (kept.py): paths are dealt out by a hash of their own, so
that a directory which comes or goes changes one shard.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from holdfast.errors import IntegrityError
from holdfast.ids import BlobId, sha256
from holdfast.prune.documents import MarkShard, Root
from holdfast.repository.session import HeldRepository
from holdfast.runs.progress import Progress

SHARDS: Final = 16
ENOUGH_PATHS: Final = 16 * SHARDS
MOST_READ: Final = 5_000
"""Trees that are looked at before the cutting ends with what there is: they are loaded twice."""
_ALONE_TREES: Final = 4_000
WORTH_BLOBS: Final = 50_000
"""A repository with fewer is one shard: each one costs a step of the run."""


def cut(held: HeldRepository, roots: Sequence[Root], progress: Progress) -> Iterator[MarkShard]:
    """Cut what is below these roots. progress: trees that were looked at."""
    paths = {b"": {root.tree for root in roots}}
    alone: set[bytes] = set()
    is_worth_it = len(held.index) >= WORTH_BLOBS
    while (
        is_worth_it and len(paths) < ENOUGH_PATHS and len(alone) + sum(map(len, paths.values())) <= MOST_READ
    ):
        before = len(alone)
        paths = _below(held, paths, alone, progress)
        if len(alone) == before:
            break
    shards: list[set[bytes]] = [set() for _ in range(SHARDS)]
    for path, trees in paths.items():
        shards[sha256(path)[0] % SHARDS if alone else 0] |= trees
    above = sorted(alone)
    for at in range(0, len(above), _ALONE_TREES):
        yield MarkShard(trees=b"", alone=b"".join(above[at : at + _ALONE_TREES]))
    for shard in filter(None, shards):
        yield MarkShard(trees=b"".join(sorted(shard)))


def _below(
    held: HeldRepository, paths: Mapping[bytes, Collection[bytes]], alone: set[bytes], progress: Progress
) -> dict[bytes, set[bytes]]:
    """The trees one level deeper, by their paths. alone: gets those that were looked at.

    One that cannot be read stays where it is: who walks it says what is wrong.
    """
    below: dict[bytes, set[bytes]] = {}
    for path, trees in paths.items():
        for tree in trees:
            progress(len(alone), 0)
            try:
                nodes = held.loader.load_tree(BlobId(tree))
            except IntegrityError:
                below.setdefault(path, set()).add(tree)
                continue
            alone.add(tree)
            for node in nodes:
                if node.subtree_id is not None:
                    below.setdefault(path + b"/" + node.name, set()).add(node.subtree_id)
    return below

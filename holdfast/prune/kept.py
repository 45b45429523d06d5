"""What trees use is kept from prune to prune: what a tree names never changes, so a walk need not be done twice.

A shard of marking is some trees (cut.py). What they use are documents of sorted ids below a name that is a keyed hash
of these trees, beside the documents of runs:

    holdfast/used/<name>/<n>    ids, in order: whoever walks these trees writes the same bytes
    holdfast/used/<name>/end    how many there are; written last, so a crash leaves what the next walk writes again

So a prune walks only shards in which something has come or gone since the last one. That a blob is used is all that is
kept: whether it is there is looked up in the index each time.

What a prune has not used goes at its end, once it is old: another prune may have found it just now.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from holdfast.errors import RunStateError
from holdfast.format.index import BlobType
from holdfast.ids import ID_BYTES, sha256
from holdfast.prune.documents import MarkResult, MarkShard, PruneRun, UsedPart
from holdfast.repository.documents import decode, encode, load
from holdfast.repository.index.marks import BlobMarks
from holdfast.repository.repository import Repository
from holdfast.repository.sealed_folder import SealedFolder
from holdfast.runs.read_ahead import read_ahead
from holdfast.units import NS_PER_S

USED: Final = "holdfast/used"
_PURPOSE: Final = b"holdfast used 1\0"
_NAME_LENGTH: Final = 32
_END: Final = "end"
_PART_IDS: Final = 100_000
"""Ids in one document: 3.2 MB, which do not get smaller."""
_OLD_S: Final = 7 * 86_400.0


class _End(msgspec.Struct, frozen=True, kw_only=True):
    """All is there. trees: how many were walked for it."""

    parts: int
    trees: int


def name_of(repository: Repository, shard: MarkShard) -> str:
    """The name of what a shard uses: 32 hex digits that tell nothing to others."""
    digest = sha256(b"\0".join((len(shard.trees).to_bytes(8, "big"), shard.trees, shard.alone)))
    return repository.key.derive_secret(_PURPOSE + digest).hex()[:_NAME_LENGTH]


def find(repository: Repository, name: str) -> MarkResult | None:
    """What is kept under a name; None where a part of it is not there."""
    folder = _folder(repository)
    there = set(folder.list(name))
    end = load(folder, _end_name(name), _End) if _end_name(name) in there else None
    if end is None or not there.issuperset(_part_names(name, end.parts)):
        return None
    return MarkResult(name=name, parts=end.parts, trees=0)


def keep(repository: Repository, name: str, marks: BlobMarks, trees: int) -> int:
    """Keep all ids that are marked; in how many documents."""
    folder = _folder(repository)
    ids = {kind: b"".join(sorted(marks.marked(kind))) for kind in BlobType}
    parts = list(_cut(ids[BlobType.TREE], ids[BlobType.DATA]))
    for part_name, part in zip(_part_names(name, len(parts)), parts, strict=True):
        folder.put(part_name, encode(part))
    folder.put(_end_name(name), encode(_End(parts=len(parts), trees=trees)))
    return len(parts)


def read_used(repository: Repository, results: Sequence[MarkResult]) -> Iterator[UsedPart]:
    """What these shards use.

    Raises:
        RunStateError: a document is gone.
    """
    names = [part for result in results for part in _part_names(result.name, result.parts)]
    for name, data in zip(names, read_ahead(_folder(repository), names), strict=True):
        if data is None:
            raise RunStateError("what trees use is gone from where it was kept: another prune has removed it")
        yield decode(data, name, UsedPart)


def tidy(run: PruneRun) -> None:
    """Remove what this run has not used, if it is old; at its end, when all shards were marked."""
    repository = run.session.repository
    names = {result.name for result in run.marks.results(run.marks.page(0).shards)}
    storage = repository.workspaces
    before_ns = time.time_ns() - round(_OLD_S * NS_PER_S)
    newest_ns: dict[str, int] = {}
    for file in storage.list(USED):
        name = file.name.removeprefix(f"{USED}/").partition("/")[0]
        newest_ns[name] = max(newest_ns.get(name, 0), file.modified_ns)
    for name, written_ns in newest_ns.items():
        if written_ns < before_ns and name not in names:
            storage.delete_folder(f"{USED}/{name}")


def _folder(repository: Repository) -> SealedFolder:
    return SealedFolder(repository, USED, repository.workspaces)


def _part_names(name: str, parts: int) -> list[str]:
    return [f"{name}/{part:06d}" for part in range(parts)]


def _end_name(name: str) -> str:
    return f"{name}/{_END}"


def _cut(trees: bytes, data: bytes) -> Iterator[UsedPart]:
    size = _PART_IDS * ID_BYTES
    for at in range(0, len(trees), size):
        yield UsedPart(trees[at : at + size], b"")
    for at in range(0, len(data), size):
        yield UsedPart(b"", data[at : at + size])

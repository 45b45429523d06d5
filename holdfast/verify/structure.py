"""The structure of snapshots: every index file and tree readable, every blob indexed, every file as long as its blobs.

Walks trees without recursion and visits each tree once, however many directories share it.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from holdfast.errors import IntegrityError
from holdfast.format.index import BlobType
from holdfast.format.tree import Node
from holdfast.ids import BlobId, PackId, to_hex
from holdfast.repository.index.map import PackInfo
from holdfast.repository.packs.loader import BlobLoader
from holdfast.repository.session import HeldRepository
from holdfast.repository.whole_trees import WholeTrees
from holdfast.verify.report import Problem, ProblemKind, VerifyReport


@dataclass(slots=True)
class _Walk:
    """Trees still to visit, with the path under which each was first met."""

    pending: list[tuple[bytes, BlobId]]
    seen: set[BlobId] = field(default_factory=set)


def check_structure(
    held: HeldRepository,
    roots: Iterable[BlobId],
    report: VerifyReport,
    on_progress: Callable[[], None],
    known: WholeTrees | None = None,
    from_store: Collection[PackId] | None = None,
) -> set[PackId]:
    """Check everything below the `roots`, add to `report`; the packs that it needs. known: subtrees to take as checked.

    from_store: the packs whose trees are read past this host's cache; by default all.

    Raises:
        StorageUnavailableError and the like: the repository cannot be read just now. Damage is reported, not raised.
    """
    for index_id in held.unreadable_index:
        report.add(Problem(kind=ProblemKind.INDEX_UNREADABLE, what=to_hex(index_id)))
    store = held.loader_of_store()
    packs: set[PackId] = set()
    trees = list(dict.fromkeys(roots))
    walk = _Walk([(b"", tree) for tree in trees], set(trees))
    while walk.pending:
        path, tree = walk.pending.pop()
        on_progress()
        whole = known and known.get(tree)
        if whole:
            packs |= whole.packs
            report.blobs += whole.blobs
            report.files += whole.files
            continue
        location = held.index.lookup(tree, BlobType.TREE)
        if location is None:
            report.add(Problem(kind=ProblemKind.BLOB_MISSING, what=to_hex(tree), path=path or b"/"))
            continue
        packs.add(location.pack)
        report.blobs += 1
        loader = store if from_store is None or location.pack in from_store else held.loader
        for node in _load(loader, tree, path, report):
            subtree = node.subtree_id
            if subtree is not None:
                if subtree not in walk.seen:
                    walk.seen.add(subtree)
                    walk.pending.append((path + b"/" + node.name, subtree))
            elif node.is_file:
                content = node.content or ()
                report.files += 1
                if held.index.measure(content, packs) == node.size:
                    report.blobs += len(content)
                else:
                    _check_file(held, node, path + b"/" + node.name, report, packs)
    return packs


def check_sizes(
    held: HeldRepository, packs: Collection[PackInfo], report: VerifyReport, *, own: bool = False
) -> None:
    """Is there a file of the right size for each of these packs? own: they are those of one run."""
    report.packs += len(packs)
    sizes = held.stored_sizes([pack.id for pack in packs], own=own)
    for pack in packs:
        size = sizes[pack.id]
        if size is None:
            report.add(Problem(kind=ProblemKind.PACK_MISSING, what=to_hex(pack.id)))
        elif size != pack.size_bytes:
            report.add(Problem(kind=ProblemKind.PACK_SIZE, what=to_hex(pack.id)))


def _load(loader: BlobLoader, tree: BlobId, path: bytes, report: VerifyReport) -> list[Node]:
    try:
        return loader.load_tree(tree)
    except IntegrityError:
        report.add(Problem(kind=ProblemKind.TREE_UNREADABLE, what=to_hex(tree), path=path or b"/"))
        return []


def _check_file(
    held: HeldRepository, node: Node, path: bytes, report: VerifyReport, packs: set[PackId]
) -> None:
    """Find out what is wrong with a file, if anything is: a marked copy of a blob is better than none."""
    size = 0
    for blob in node.content_ids:
        location = held.index.lookup(blob, BlobType.DATA)
        if location is None:
            report.add(Problem(kind=ProblemKind.BLOB_MISSING, what=to_hex(blob), path=path))
            return
        packs.add(location.pack)
        size += location.entry.plaintext_bytes
        report.blobs += 1
    if size != node.size:
        report.add(Problem(kind=ProblemKind.FILE_SIZE, what=f"{node.size} != {size}", path=path))

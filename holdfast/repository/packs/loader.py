"""Blobs are read out of packs: one at a time, or many with few large reads; trees come from a bounded cache.

Every blob is authenticated, bounded and hashed before it is handed out.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from holdfast.buffers import BUFFERS
from holdfast.errors import BlobMissingError, CorruptFileError
from holdfast.format.index import BlobEntry, BlobType
from holdfast.format.tree import Node, decode_tree
from holdfast.ids import BlobId, PackId, short
from holdfast.repository.index.map import BlobLocation, IndexMap
from holdfast.repository.layout import pack_name
from holdfast.repository.repository import Repository
from holdfast.repository.second_look import LOOKS, looked_at_again, worth_a_second_look
from holdfast.storage.contract import Traits

_BLOCK_BYTES: Final = 256 * 1024
_KEPT_BLOCKS: Final = 8
"""Packs of trees are read in such blocks: a walk of a snapshot wants the trees of neighbouring directories, which a
backup has stored side by side."""
_CACHED_NODES: Final = 60_000
_CACHED_TREE_NODES: Final = 20_000
"""A tree larger than that is not worth pushing hundreds of others out of the cache."""


@dataclass(frozen=True, slots=True)
class PackRange:
    """One read of neighbouring blobs of one pack; entries by ascending offset."""

    pack: PackId
    offset: int
    length: int
    entries: tuple[BlobEntry, ...]


class BlobLoader:
    """Loads the blobs of a repository. Thread-safe; nothing is held while reading."""

    def __init__(self, repository: Repository, index: IndexMap) -> None:
        self._repository = repository
        self._index = index
        self._trees = _TreeCache()
        self._blocks = _PackBlocks(repository, index)

    @property
    def transfers(self) -> int:
        """How many reads at once bring the most."""
        return self._repository.storage.traits.transfers

    def load(self, blob: BlobId, blob_type: BlobType) -> bytes:
        """One blob.

        Raises:
            BlobMissingError: it is in no index.
            StoredFileMissingError: its pack is gone.
            CorruptFileError: what is stored is not this blob; the message names blob and pack.
        """
        location = self._location(blob, blob_type)
        return self._read(location, LOOKS)

    def load_tree(self, tree: BlobId) -> list[Node]:
        """The nodes of a tree, from the cache where possible. The list is shared: do not change it.

        Raises:
            BlobMissingError, StoredFileMissingError, CorruptFileError: as `load`.
        """
        nodes = self._trees.get(tree)
        if nodes is None:
            data = self.load_tree_bytes(tree)
            try:
                nodes = decode_tree(data)
            except CorruptFileError as error:
                raise CorruptFileError(f"tree {short(tree)}: {error.message}", hint=error.hint) from error
            self._trees.put(tree, nodes)
        return nodes

    def load_tree_bytes(self, tree: BlobId) -> bytes:
        """The bytes of a tree, out of its pack's block, for what goes through many and wants each once.

        Where a pack is damaged or cut off, only a tree's own bytes tell about it. Raises as `load`.
        """
        location = self._location(tree, BlobType.TREE)
        try:
            return self._open(location.pack, location.entry, self._blocks.read(location))
        except CorruptFileError:
            return self._read(location, LOOKS - 1)

    def known_trees(self) -> list[tuple[BlobId, list[Node]]]:
        """The trees that are in the cache, those used last at the end."""
        return self._trees.items()

    def keep_trees(self, trees: Iterable[tuple[BlobId, list[Node]]]) -> None:
        """Take over what another loader of the repository knows, as far as this one's index has it."""
        for tree, nodes in trees:
            if self._index.has(tree, BlobType.TREE):
                self._trees.put(tree, nodes)

    def plan_reads(self, blobs: Iterable[BlobId], blob_type: BlobType = BlobType.DATA) -> list[PackRange]:
        """The reads that bring these blobs, each once, pack by pack; none longer than is best for the
        storage (`Traits.range_bytes`) unless one blob is.

        Packs come in the order in which the blobs first ask for them, so that what is wanted first comes first.

        Raises:
            BlobMissingError: one is in no index.
        """
        return self.plan_located(self._location(blob, blob_type) for blob in dict.fromkeys(blobs))

    def plan_located(self, locations: Iterable[BlobLocation]) -> list[PackRange]:
        """The same for blobs that were looked up already, each once."""
        by_pack: dict[PackId, list[BlobEntry]] = {}
        for location in locations:
            by_pack.setdefault(location.pack, []).append(location.entry)
        traits = self._repository.storage.traits
        planned: list[PackRange] = []
        for pack, entries in by_pack.items():
            planned.extend(_ranges(pack, sorted(entries, key=lambda entry: entry.offset), traits))
        return planned

    def read_range(self, planned: PackRange) -> Iterator[tuple[BlobId, bytes]]:
        """Do one planned read, and open its blobs one by one.

        Raises:
            StoredFileMissingError: the pack is gone.
            CorruptFileError: a blob is not what its id says. Those before it have been handed out.
        """
        name = pack_name(planned.pack)
        sealed = memoryview(self._repository.storage.get_range(name, planned.offset, planned.length))
        for entry in planned.entries:
            start = entry.offset - planned.offset
            try:
                plaintext = self._open(planned.pack, entry, sealed[start : start + entry.length])
            except CorruptFileError:
                if not worth_a_second_look(self._repository.storage):
                    raise
                plaintext = self._read(BlobLocation(planned.pack, entry), LOOKS - 1)
            yield entry.id, plaintext

    def open_range(self, planned: PackRange) -> Iterator[tuple[BlobId, bytes | memoryview]]:
        """As `read_range`, in memory that is used again: each plaintext is gone when the next one is asked for."""
        storage = self._repository.storage
        range_bytes = storage.traits.range_bytes
        if planned.length > range_bytes:
            yield from self.read_range(planned)
            return
        name = pack_name(planned.pack)
        buffer = BUFFERS.take(range_bytes)
        data = buffer[: planned.length]
        storage.get_range_into(name, planned.offset, data)
        opened = 0
        try:
            for found in self._repository.decoder().decode_in_place(data, planned.entries, planned.offset):
                yield found
                opened += 1
        except CorruptFileError as error:
            if not worth_a_second_look(storage):
                raise _damaged(name, error) from error
            for entry in planned.entries[opened:]:
                yield entry.id, self._read(BlobLocation(planned.pack, entry), LOOKS - 1)
        BUFFERS.give_back(buffer)

    def _location(self, blob: BlobId, blob_type: BlobType) -> BlobLocation:
        location = self._index.lookup(blob, blob_type)
        if location is None:
            raise _missing(blob, blob_type)
        return location

    def _read(self, location: BlobLocation, looks: int) -> bytes:
        """One blob by its own bytes. looks: how often at most; one less where it came damaged before."""
        storage, pack, entry = self._repository.storage, location.pack, location.entry

        def read() -> bytes:
            return self._open(pack, entry, storage.get_range(pack_name(pack), entry.offset, entry.length))

        return looked_at_again(storage, read, looks)

    def _open(self, pack: PackId, entry: BlobEntry, sealed: bytes | memoryview) -> bytes:
        try:
            return self._repository.decoder().decode(sealed, entry)
        except CorruptFileError as error:
            raise _damaged(f"blob {short(entry.id)} in {pack_name(pack)}", error) from error


def find_node(load_tree: Callable[[BlobId], list[Node]], tree: BlobId, path: bytes) -> Node | None:
    """The node at a path of a tree; None where there is none, or where nothing is named. Raises as `load_tree`."""
    node: Node | None = None
    below: BlobId | None = tree
    for name in filter(None, path.split(b"/")):
        nodes = [] if below is None else load_tree(below)
        node = next((child for child in nodes if child.name == name), None)
        if node is None:
            return None
        below = node.subtree_id
    return node


class _PackBlocks:
    """The blocks of packs that were read last. Thread-safe; nothing is held while reading."""

    def __init__(self, repository: Repository, index: IndexMap) -> None:
        self._repository = repository
        self._index = index
        self._blocks: OrderedDict[tuple[PackId, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, location: BlobLocation) -> bytes:
        """The sealed bytes of a blob; those that reach from one block into the next are read by themselves.

        Raises:
            StoredFileMissingError: the pack is gone.
            CorruptFileError: the pack, which is read to the end of the block, is shorter than the index says.
        """
        entry = location.entry
        start = entry.offset % _BLOCK_BYTES
        first, end = entry.offset - start, start + entry.length
        info = self._index.pack(location.pack)
        length = 0 if info is None else min(_BLOCK_BYTES, info.size_bytes - first)
        if end > length:
            name = pack_name(location.pack)
            return self._repository.tree_packs.get_range(name, entry.offset, entry.length)
        return self._block(location.pack, first, length)[start:end]

    def _block(self, pack: PackId, first: int, length: int) -> bytes:
        key = (pack, first)
        with self._lock:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
                return block
        block = self._repository.tree_packs.get_range(pack_name(pack), first, length)
        with self._lock:
            self._blocks[key] = block
            if len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        return block


class _TreeCache:
    """The trees used last, up to a number of nodes."""

    def __init__(self) -> None:
        self._trees: OrderedDict[BlobId, list[Node]] = OrderedDict()
        self._nodes = 0
        self._lock = threading.Lock()

    def get(self, tree: BlobId) -> list[Node] | None:
        with self._lock:
            nodes = self._trees.get(tree)
            if nodes is not None:
                self._trees.move_to_end(tree)
            return nodes

    def items(self) -> list[tuple[BlobId, list[Node]]]:
        """All of them; those used last at the end."""
        with self._lock:
            return list(self._trees.items())

    def put(self, tree: BlobId, nodes: list[Node]) -> None:
        if len(nodes) > _CACHED_TREE_NODES:
            return
        with self._lock:
            if tree in self._trees:
                return
            self._trees[tree] = nodes
            self._nodes += _weight(nodes)
            while self._nodes > _CACHED_NODES:
                _, oldest = self._trees.popitem(last=False)
                self._nodes -= _weight(oldest)


def _weight(nodes: list[Node]) -> int:
    """An empty tree takes room as well."""
    return len(nodes) + 1


def _ranges(pack: PackId, entries: list[BlobEntry], traits: Traits) -> Iterator[PackRange]:
    """Cut sorted entries into reads: close neighbours together, none longer than what is best for the storage."""
    group: list[BlobEntry] = []
    for entry in entries:
        if group:
            end = group[-1].offset + group[-1].length
            too_far = entry.offset - end > traits.gap_bytes
            if too_far or entry.offset + entry.length - group[0].offset > traits.range_bytes:
                yield _range(pack, group)
                group = []
        group.append(entry)
    if group:
        yield _range(pack, group)


def _range(pack: PackId, group: list[BlobEntry]) -> PackRange:
    start = group[0].offset
    return PackRange(pack, start, group[-1].offset + group[-1].length - start, tuple(group))


def _damaged(what: str, error: CorruptFileError) -> CorruptFileError:
    return CorruptFileError(
        f"{what}: {error.message}",
        hint="The pack is damaged; `restic check --read-data` finds all that are.",
    )


def _missing(blob: BlobId, blob_type: BlobType) -> BlobMissingError:
    return BlobMissingError(
        f"{blob_type.name.lower()} blob {short(blob)} is in no index",
        hint="`holdfast verify` says what is missing; `holdfast repair index` helps if its pack is still there.",
    )

"""A tree is the list of entries of one directory, as JSON.

Bytes are `{"nodes":[…]}` and a line feed, which is hashed too. Names ascend strictly by raw bytes. Go's JSON escapes
`<`, `>`, `&`, U+2028 and U+2029, so that a tree written here has the bytes that restic would have written.
Source: restic, internal/data/tree.go and node.go.
"""

import operator
import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from holdfast.errors import CorruptFileError
from holdfast.format.leniency import joined, parted, whole
from holdfast.format.modes import DIRECTORY, FILE
from holdfast.format.names import ascend
from holdfast.format.node import MORE, ExtendedAttribute, Node
from holdfast.ids import ID_BYTES, are_hex_ids

__all__ = [
    "ExtendedAttribute",
    "Node",
    "TreeWriter",
    "decode_node",
    "decode_tree",
    "encode_node",
    "encode_tree",
    "names_of",
    "references_of",
]

_HEAD: Final = b'{"nodes":['
_TAIL: Final = b"]}\n"
_GO_ESCAPES_ASCII: Final = ((b"<", rb"\u003c"), (b">", rb"\u003e"), (b"&", rb"\u0026"))
_GO_ESCAPES: Final = (
    *_GO_ESCAPES_ASCII,
    ("\u2028".encode(), rb"\u2028"),
    ("\u2029".encode(), rb"\u2029"),
)
_MORE_OF: Final = operator.attrgetter("more")
_NODES_AT_ONCE: Final = 256
"""What one call encodes: of a directory with a million files, no more nodes are at hand."""
_NUMBER_BITS: Final = 64
_OWNER_BITS: Final = 32
_FORBIDDEN: Final = frozenset(("", ".", ".."))
_UNUSUAL: Final = re.compile('["\\\\\n/\0\ud800-\udfff]')
"""What a name may hold only in quotes, or not at all."""


class _Tree(msgspec.Struct, frozen=True):
    nodes: list[Node]


class _RawTree(msgspec.Struct, frozen=True):
    nodes: list[msgspec.Raw]


class _References(msgspec.Struct, frozen=True, gc=False):
    kind: str = msgspec.field(default="", name="type")
    content: list[str] | None = None
    subtree: str | None = None


class _ReferenceTree(msgspec.Struct, frozen=True):
    nodes: list[_References]


_ENCODER: Final = msgspec.json.Encoder()
_RAW_TREE_DECODER: Final = msgspec.json.Decoder(_RawTree)
_MEMBERS: Final = frozenset(Node.__struct_encode_fields__) - {MORE}
_NODE_DECODER: Final = msgspec.json.Decoder(Node)
_TREE_DECODER: Final = msgspec.json.Decoder(_Tree)
_REFERENCE_DECODER: Final = msgspec.json.Decoder(_ReferenceTree)


def encode_node(node: Node) -> bytes:
    """The JSON of one node as it stands in a tree."""
    return _escaped(_encoded(node))


def decode_node(data: bytes) -> Node:
    """One node.

    Raises:
        CorruptFileError: not the JSON of a node.
    """
    try:
        node = _node(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"a node cannot be read: {error}") from error
    _checked_name(node)
    return node


def encode_tree(nodes: Iterable[Node]) -> bytes:
    """The bytes of a tree of these nodes, which must ascend by name.

    Raises:
        ValueError: two nodes are out of order or share a name.
    """
    writer = TreeWriter()
    for node in nodes:
        writer.add(node)
    return writer.finish()


class TreeWriter:
    """Writes a tree node by node; holds its encoded bytes, and the nodes that are encoded next, all at once."""

    def __init__(self) -> None:
        self._encoded: list[bytes] = []
        self._nodes: list[Node] = []
        self._last = ""

    def add(self, node: Node) -> None:
        """Append a node. Raises as `finish`."""
        self._nodes.append(node)
        if len(self._nodes) == _NODES_AT_ONCE:
            self._encode()

    def finish(self) -> bytes:
        """The bytes of the tree.

        Raises:
            ValueError: a name does not come after the one before.
        """
        if self._nodes:
            self._encode()
        return _escaped(_HEAD + b",".join(self._encoded) + _TAIL)

    def _encode(self) -> None:
        names = [self._last, *[node.quoted_name for node in self._nodes]]
        if not ascend(names):
            raise ValueError("tree entries out of order, or two of one name")
        self._last = names[-1]
        if any(map(_MORE_OF, self._nodes)):
            self._encoded += map(_encoded, self._nodes)
        else:
            self._encoded.append(_ENCODER.encode(self._nodes)[1:-1])
        self._nodes.clear()


def _escaped(encoded: bytes) -> bytes:
    """With Go's escapes."""
    for plain, escaped in _GO_ESCAPES_ASCII if encoded.isascii() else _GO_ESCAPES:
        if plain in encoded:
            encoded = encoded.replace(plain, escaped)
    return encoded


def decode_tree(data: bytes) -> list[Node]:
    """The nodes of a tree, in order.

    Raises:
        CorruptFileError: not a tree; or a name that no directory can hold, a duplicate, disorder, ids that are none,
            numbers that do not fit into 64 bits.
    """
    try:
        nodes = _nodes(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"a tree cannot be read: {error}") from error
    _check_names(nodes)
    _check_ids(nodes)
    for node in nodes:
        _check_numbers(node)
    return nodes


def references_of(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """The raw ids of a tree's subtrees, and of its files' content, in order: at a third of what `decode_tree` costs.

    A directory without a subtree, a file without content, or a node without a type here may have them under names that
    only a lenient reading knows; then that reads all of it.

    Raises:
        CorruptFileError: as `decode_tree`.
    """
    try:
        nodes = _REFERENCE_DECODER.decode(data).nodes
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _references(decode_tree(data))
    subtrees: list[str] = []
    content: list[str] = []
    for node in nodes:
        if node.subtree is not None:
            subtrees.append(node.subtree)
        elif node.kind == DIRECTORY or not node.kind:
            return _references(decode_tree(data))
        if node.content is not None:
            content += node.content
        elif node.kind == FILE:
            return _references(decode_tree(data))
    if not are_hex_ids(subtrees) or not are_hex_ids(content):
        raise CorruptFileError("a tree names a subtree or content by something that is no id")
    return _raw(subtrees), _raw(content)


def _references(nodes: Sequence[Node]) -> tuple[list[bytes], list[bytes]]:
    return (
        _raw([node.subtree for node in nodes if node.subtree is not None]),
        _raw([text for node in nodes for text in node.content or ()]),
    )


def _raw(texts: Sequence[str]) -> list[bytes]:
    raw = bytes.fromhex("".join(texts))
    return [raw[at : at + ID_BYTES] for at in range(0, len(raw), ID_BYTES)]


def _nodes(data: bytes) -> list[Node]:
    """The nodes of a tree; one by one where another program's habits need it."""
    try:
        nodes = _TREE_DECODER.decode(data).nodes
        if not any(map(_MORE_OF, nodes)):  # nobody else may say what we keep as unknown
            return nodes
    except msgspec.ValidationError:
        pass
    return [_node(raw) for raw in _RAW_TREE_DECODER.decode(data).nodes]


def _node(data: bytes | msgspec.Raw) -> Node:
    known, more = parted(data, _MEMBERS)
    node = _NODE_DECODER.decode(whole(known))
    return msgspec.structs.replace(node, more=joined(more)) if more else node


def _encoded(node: Node) -> bytes:
    """Without Go's escapes; with what is not known of it."""
    if not node.more:
        return _ENCODER.encode(node)
    return _ENCODER.encode(msgspec.structs.replace(node, more=b""))[:-1] + b"," + node.more + b"}"


def names_of(nodes: Sequence[Node]) -> list[bytes]:
    """The file names of nodes; all at once, where none of them is quoted."""
    joined = "\0".join([node.quoted_name for node in nodes])
    if not nodes or "\\" in joined:
        return [node.name for node in nodes]
    return joined.encode().split(b"\0")


def _check_names(nodes: Sequence[Node]) -> None:
    """All at once where they stand for themselves: then text is in order just where its bytes in UTF-8 are."""
    texts = [node.quoted_name for node in nodes]
    if _UNUSUAL.search("".join(texts)):
        texts = [_checked_name(node).decode("latin-1") for node in nodes]
    distinct = set(texts)
    if not distinct.isdisjoint(_FORBIDDEN):
        raise CorruptFileError("a tree holds a name that no directory can hold")
    if len(distinct) < len(texts) or texts != sorted(texts):
        raise CorruptFileError("a tree holds names out of order or twice")


def _checked_name(node: Node) -> bytes:
    try:
        name = node.name
    except (ValueError, UnicodeEncodeError) as error:
        raise CorruptFileError(f"a tree holds a name that cannot be unquoted: {error}") from error
    if name.decode("latin-1") in _FORBIDDEN or b"/" in name or b"\0" in name:
        raise CorruptFileError("a tree holds a name that no directory can hold")
    return name


def _check_ids(nodes: Sequence[Node]) -> None:
    subtrees = [node.subtree for node in nodes if node.subtree is not None]
    if not are_hex_ids(subtrees):
        raise CorruptFileError("a tree names a subtree by something that is no id")
    if any(node.subtree is None and node.kind == DIRECTORY for node in nodes):
        raise CorruptFileError("a tree holds a directory without a subtree")
    if not are_hex_ids([text for node in nodes if node.content for text in node.content]):
        raise CorruptFileError("a tree names content by something that is no id")


def _check_numbers(node: Node) -> None:
    """JSON knows no limit, 64 bits have one. All numbers at once: negative ones leave a -1."""
    if (node.inode | node.device_id | node.size | node.links | node.device | node.mode) >> _NUMBER_BITS:
        raise CorruptFileError("a tree holds a number that is negative, or longer than 64 bits")
    if (node.uid | node.gid) >> _OWNER_BITS:
        raise CorruptFileError("a tree holds an owner that is no user or group id")

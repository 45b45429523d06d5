"""Stored files: what was written is read back; anything else raises the typed error and nothing else."""

import os
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.crypto.sealing import MasterKey, Sealer
from holdfast.errors import CorruptFileError, HoldfastError
from holdfast.format.config import decode_config
from holdfast.format.index import BlobEntry, BlobType, IndexPack, decode_index, encode_index
from holdfast.format.key import decode_key
from holdfast.format.lock import decode_lock
from holdfast.format.node import Node
from holdfast.format.pack import parse_pack
from holdfast.format.pack_header import encode_header, encode_length
from holdfast.format.sealed import decode_file, encode_file
from holdfast.format.snapshot import decode_snapshot
from holdfast.format.times import format_time, is_time, parse_time
from holdfast.format.tree import decode_tree, encode_tree
from holdfast.ids import BlobId, PackId

SEALER = Sealer(MasterKey.random())
IDS = st.binary(min_size=32, max_size=32).map(BlobId)
NAMES = st.binary(min_size=1, max_size=40).filter(
    lambda name: name not in {b".", b".."} and b"/" not in name and b"\0" not in name
)
YEAR_0_NS = -62_167_219_200 * 10**9
YEAR_10000_NS = 253_402_300_800 * 10**9
TIMES = st.integers(YEAR_0_NS, YEAR_10000_NS - 1)
NUMBERS = st.integers(0, (1 << 64) - 1)
OWNERS = st.integers(0, (1 << 32) - 1)
NODES = st.builds(
    Node.create,
    name=NAMES,
    st_mode=st.integers(0, 0o7777).map(lambda bits: bits | 0o100000),
    uid=OWNERS,
    gid=OWNERS,
    mtime_ns=TIMES,
    atime_ns=TIMES,
    ctime_ns=TIMES,
    user=st.text(max_size=10),
    group=st.text(max_size=10),
    inode=NUMBERS,
    device_id=NUMBERS,
    size=NUMBERS,
    links=st.integers(0, 1000),
    content=st.lists(IDS, max_size=4),
    xattrs=st.lists(st.tuples(st.just(b"user.x"), st.binary(max_size=20)), max_size=2),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
PARSERS: list[Callable[[bytes], object]] = [
    decode_tree,
    decode_index,
    decode_snapshot,
    decode_key,
    decode_lock,
]


@given(TIMES)
def test_times_come_back_to_the_nanosecond(moment: int) -> None:
    assert parse_time(format_time(moment)) == moment


@given(TIMES, st.integers(min_value=-1, max_value=1))
def test_a_time_is_recognised_however_it_was_written(moment: int, off_ns: int) -> None:
    text = format_time(moment)
    assert is_time(moment + off_ns, text) == (off_ns == 0 or format_time(moment + off_ns) == text)
    assert is_time(moment + off_ns, text.replace("Z", "+00:00")) == (off_ns == 0)


@given(st.dictionaries(NAMES, NODES, max_size=6))
@settings(max_examples=40, deadline=None)
def test_a_tree_comes_back(nodes: dict[bytes, Node]) -> None:
    named = {node.name: node for node in nodes.values()}
    ordered = [named[name] for name in sorted(named)]
    encoded = encode_tree(ordered)
    assert decode_tree(encoded) == ordered
    assert encode_tree(decode_tree(encoded)) == encoded
    assert not any(character in encoded for character in (b"<", b">", b"&", "\u2028".encode()))


@st.composite
def packs(draw: st.DrawFn) -> IndexPack:
    """A pack whose blobs follow each other."""
    offset, blobs = 0, []
    for _ in range(draw(st.integers(0, 5))):
        length = draw(st.integers(32, 1 << 20))
        entry = BlobEntry(
            id=draw(IDS),
            type=draw(st.sampled_from(BlobType)),
            offset=offset,
            length=length,
            uncompressed_length=draw(st.integers(0, 1 << 20)),
        )
        blobs.append(entry)
        offset += length
    return IndexPack(id=PackId(draw(IDS)), blobs=tuple(blobs))


@given(NODES)
def test_the_short_way_to_the_node_of_a_file_makes_the_same(node: Node) -> None:
    device = node.device_id if node.links > 1 else 7
    status = os.stat_result(
        (node.st_mode, node.inode, device, node.links, node.uid, node.gid, node.size, 0, 0, 0),
        {"st_mtime_ns": node.mtime_ns, "st_ctime_ns": node.ctime_ns},
    )
    assert node == Node.of_file(
        node.name,
        status,
        atime_ns=node.atime_ns,
        user=node.user,
        group=node.group,
        xattrs=node.xattrs,
        content=node.content_ids,
        size=node.size,
    )


@given(st.lists(packs(), max_size=4))
@settings(max_examples=40, deadline=None)
def test_an_index_comes_back_in_both_shapes(written: list[IndexPack]) -> None:
    read = decode_index(encode_index([pack.columns for pack in written]))
    assert [pack.pack for pack in read] == written
    assert read == [pack.columns for pack in written]


@given(packs())
@settings(max_examples=30, deadline=None)
def test_a_pack_header_comes_back(pack: IndexPack) -> None:
    header = SEALER.seal(encode_header(pack.blobs))
    body = bytes(sum(blob.length for blob in pack.blobs))
    assert parse_pack(SEALER, body + header + encode_length(len(header))) == pack.blobs
    with pytest.raises(CorruptFileError):
        parse_pack(SEALER, b"x" + body + header + encode_length(len(header)))


@given(st.binary(), st.booleans())
def test_an_authentic_pack_of_garbage_is_refused(garbage: bytes, sealed: bool) -> None:  # noqa: FBT001 -- drawn
    header = SEALER.seal(garbage) if sealed else garbage
    for pack in (header + encode_length(len(header)), header, garbage + header + encode_length(len(header))):
        _only_typed_errors(lambda data: parse_pack(SEALER, data), pack)


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@given(data=st.binary() | JSON.map(msgspec.json.encode))
@settings(max_examples=50, deadline=None)
def test_garbage_raises_the_typed_error_only(parse: Callable[[bytes], object], data: bytes) -> None:
    _only_typed_errors(parse, data)


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_likely_garbage_raises_the_typed_error_only(
    parse: Callable[[bytes], object], data: st.DataObject
) -> None:
    """The right keys with wrong values."""
    keys = [
        "nodes",
        "name",
        "type",
        "mtime",
        "content",
        "subtree",
        "packs",
        "blobs",
        "id",
        "offset",
        "length",
    ]
    keys += [
        "time",
        "tree",
        "paths",
        "kdf",
        "N",
        "r",
        "p",
        "salt",
        "data",
        "pid",
        "exclusive",
        "uid",
        "device",
    ]
    values = JSON | st.sampled_from(
        ["00" * 32, "dir", "file", "data", "2026-01-01T00:00:00Z", "scrypt", -1, 1 << 70]
    )
    inner = st.dictionaries(st.sampled_from(keys), values, max_size=8)
    outer = st.dictionaries(st.sampled_from(keys), values | inner | st.lists(inner, max_size=3), max_size=8)
    _only_typed_errors(parse, msgspec.json.encode(data.draw(outer)))


@given(st.binary(), st.sampled_from([1, 2]))
def test_a_sealed_file_comes_back(content: bytes, version: int) -> None:
    plain = b"{" + content
    assert decode_file(SEALER, encode_file(SEALER, plain, version=version)) == plain


@given(st.binary(max_size=200))
def test_garbage_that_is_sealed_raises_the_typed_error_only(content: bytes) -> None:
    for plain in (content, b"\x02" + content):
        _only_typed_errors(lambda data: decode_file(SEALER, data), SEALER.seal(plain))
        _only_typed_errors(lambda data: decode_config(data, SEALER), SEALER.seal(plain))
    _only_typed_errors(lambda data: decode_file(SEALER, data), content)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_no_sealed_bit_can_be_changed(content: bytes, data: st.DataObject) -> None:
    sealed = bytearray(SEALER.seal(content))
    assert SEALER.open(sealed) == content
    position = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[position // 8] ^= 1 << position % 8
    with pytest.raises(CorruptFileError):
        SEALER.open(sealed)


def _only_typed_errors(parse: Callable[[bytes], object], data: bytes) -> None:
    try:
        parse(data)
    except HoldfastError:
        return

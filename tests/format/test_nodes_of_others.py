"""Nodes and snapshots as Go reads them: what is missing or null is zero, and what nobody knows stays as it is."""

import json

import pytest

from holdfast.errors import CorruptFileError
from holdfast.format.key import decode_key
from holdfast.format.node import MORE, Node
from holdfast.format.snapshot import decode_snapshot
from holdfast.format.times import ZERO_TIME
from holdfast.format.tree import decode_node, decode_tree, encode_node, encode_tree

ID = "ab" * 32
WITH_A_ZERO = [name for name in Node.__struct_encode_fields__ if name not in {"name", "type", MORE}]


def tree(*nodes: dict[str, object]) -> bytes:
    return json.dumps({"nodes": nodes}, separators=(",", ":")).encode() + b"\n"


def test_a_node_with_a_name_and_a_kind_alone() -> None:
    (node,) = decode_tree(tree({"name": "a", "type": "file"}))
    assert (node.mtime, node.atime, node.ctime) == (ZERO_TIME, ZERO_TIME, ZERO_TIME)
    assert (node.mode, node.uid, node.size, node.content_ids, node.xattrs) == (0, 0, 0, (), ())


@pytest.mark.parametrize("member", WITH_A_ZERO)
def test_null_is_what_is_missing(member: str) -> None:
    plain = (
        {"name": "a", "type": "dir", "subtree": ID} if member != "subtree" else {"name": "a", "type": "file"}
    )
    assert decode_tree(tree(plain | {member: None})) == decode_tree(
        tree({name: value for name, value in plain.items() if name != member})
    )
    assert decode_node(json.dumps(plain | {member: None}).encode()) == decode_node(json.dumps(plain).encode())


def test_what_nobody_knows_stays() -> None:
    odd: dict[str, object] = {"tomorrow": "", "\u00e9": None, "generic_attributes": {"n": [1.50, None, "<"]}}
    plain: dict[str, object] = {"name": "a", "type": "file", "content": []}
    stored = tree(plain | odd, {"name": "b", "type": "file"})
    nodes = decode_tree(stored)
    again = encode_tree(nodes)
    found = json.loads(again)["nodes"]
    assert {name: found[0][name] for name in odd} == odd
    assert encode_tree(decode_tree(again)) == again
    assert b"1.5" in again
    assert b"\\u003c" in again
    assert encode_node(decode_node(encode_node(nodes[0]))) == encode_node(nodes[0])
    assert b"tomorrow" not in encode_node(nodes[1])


@pytest.mark.parametrize("spelled", [json.dumps(MORE), '"\\u0068' + MORE[1:] + '"'])
def test_nobody_slips_members_in_by_our_own_name_for_them(spelled: str) -> None:
    """`Node.more` is written into trees as it stands, so it must never come out of one."""
    hostile = '{"nodes":[{"name":"a","type":"file",' + spelled + ':"InVpZCI6MA=="}]}\n'
    (node,) = decode_tree(hostile.encode())
    assert json.loads(encode_tree([node]))["nodes"][0][MORE] == "InVpZCI6MA=="


def test_a_snapshot_with_nulls() -> None:
    nulls = dict.fromkeys(
        ("time", "paths", "hostname", "tags", "parent", "uid", "excludes", "program_version")
    )
    snapshot = decode_snapshot(
        json.dumps(nulls | {"tree": ID, "summary": {"files_new": None, "x": 0.5}}).encode()
    )
    assert (snapshot.time, snapshot.hostname, snapshot.uid) == (ZERO_TIME, "", 0)
    assert snapshot.summary is not None
    assert decode_snapshot(json.dumps({"tree": ID, "summary": None}).encode()).summary is None


@pytest.mark.parametrize("broken", [{"tree": None}, {"tree": ID, "uid": "x"}, {"tree": ID, "summary": 1}, []])
def test_what_is_wrong_stays_wrong(broken: object) -> None:
    with pytest.raises(CorruptFileError):
        decode_snapshot(json.dumps(broken).encode())


@pytest.mark.parametrize("member", [{"size": "x"}, {"mode": -1}, {"content": [None]}, {"subtree": 1}])
def test_a_node_that_is_wrong_stays_wrong(member: dict[str, object]) -> None:
    with pytest.raises(CorruptFileError):
        decode_tree(tree({"name": "a", "type": "file"} | member))


def test_a_key_without_an_owner() -> None:
    key = {"hostname": None, "username": None, "created": None, "kdf": "scrypt", "N": 32768, "r": 8, "p": 1}
    decoded = decode_key(json.dumps(key | {"data": "AAAA", "salt": "A" * 88}).encode())
    assert (decoded.hostname, decoded.n) == ("", 32768)

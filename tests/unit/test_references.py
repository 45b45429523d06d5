"""What a tree refers to is read without the rest of it, and is what the whole reading finds."""

import json

import pytest

from holdfast.errors import CorruptFileError
from holdfast.format.tree import decode_tree, references_of

TREE, FIRST, SECOND = (f"{number:02x}" * 32 for number in (1, 2, 3))


def tree(*nodes: dict[str, object]) -> bytes:
    return json.dumps({"nodes": nodes}).encode() + b"\n"


def node(name: str, kind: str, **more: object) -> dict[str, object]:
    return {"name": name, "type": kind, "mode": 0, **more}


def test_subtrees_and_content_are_found_in_order() -> None:
    data = tree(
        node("a", "dir", subtree=TREE),
        node("b", "file", content=[FIRST, SECOND]),
        node("c", "file", content=[]),
        node("d", "symlink", linktarget="x"),
        node("e", "file", content=[FIRST]),
    )
    subtrees, content = references_of(data)
    assert [one.hex() for one in subtrees] == [TREE]
    assert [one.hex() for one in content] == [FIRST, SECOND, FIRST]
    nodes = decode_tree(data)
    assert subtrees == [one.subtree_id for one in nodes if one.subtree_id]
    assert content == [blob for one in nodes for blob in one.content_ids]


def test_an_empty_tree_refers_to_nothing() -> None:
    assert references_of(b'{"nodes":[]}\n') == ([], [])


def test_members_that_are_null_count_as_left_out() -> None:
    assert references_of(tree(node("a", "file", content=None, subtree=None))) == ([], [])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"nodes":[{"name":"a","type":"dir"}]}\n',
        tree(node("a", "dir", subtree="no id")),
        tree(node("a", "file", content=["00"])),
        tree(node("a", "file", content=[FIRST.replace("0", "G")])),
    ],
)
def test_what_is_no_tree_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptFileError):
        references_of(data)

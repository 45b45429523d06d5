"""Names in trees: every name comes back, in Go's spelling; every other text is refused as that."""

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.errors import CorruptFileError
from holdfast.format.names import ascend, quote_name, unquote_name
from holdfast.format.tree import Node, decode_tree, encode_node, encode_tree, names_of

GO_SPELLINGS = [
    (b"plain", "plain"),
    (b"with space", "with space"),
    (b'"', r"\""),
    (b"'", "'"),
    (b"\\", r"\\"),
    (b"\a\b\f\n\r\t\v", r"\a\b\f\n\r\t\v"),
    (b"\x00\x1b\x7f", r"\x00\x1b\x7f"),
    (b"\xff", r"\xff"),
    (b"\xc3", r"\xc3"),
    (b"\xed\xa0\x80", r"\xed\xa0\x80"),
    ("é☃".encode(), "é☃"),
    ("\u00a0\u00ad\u2028\ufeff".encode(), r"\u00a0\u00ad\u2028\ufeff"),
    ("\ufffd".encode(), "\ufffd"),
    ("𝄞".encode(), "𝄞"),
    ("\U000e0001".encode(), r"\U000e0001"),
]


@pytest.mark.parametrize(("name", "text"), GO_SPELLINGS)
def test_the_spelling_is_that_of_go(name: bytes, text: str) -> None:
    assert quote_name(name) == text
    assert unquote_name(text) == name


@pytest.mark.parametrize(
    ("text", "name"), [(r"\101", b"A"), (r"\u0041\U00000041\x41", b"AAA"), (r"\377", b"\xff")]
)
def test_other_spellings_that_go_reads(text: str, name: bytes) -> None:
    assert unquote_name(text) == name


@given(st.binary())
@example(bytes(range(256)))
def test_every_name_comes_back(name: bytes) -> None:
    text = quote_name(name)
    assert unquote_name(text) == name
    assert unquote_name(json.loads(json.dumps(text))) == name


NAMES = st.one_of(
    st.binary(min_size=1),
    st.text(alphabet=st.sampled_from('aé\\"\uffff\U0001f600 '), min_size=1).map(str.encode),
).filter(lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b".."))


@given(NAMES, NAMES)
@example("\uffff".encode(), "\U0001f600".encode())
def test_texts_are_in_the_order_of_their_names(one: bytes, other: bytes) -> None:
    assert ascend([quote_name(one), quote_name(other)]) == (one < other)


@given(st.sets(NAMES, max_size=6))
def test_a_tree_has_its_names_in_order_and_comes_back(names: set[bytes]) -> None:
    nodes = [_node(name) for name in sorted(names)]
    assert names_of(decode_tree(encode_tree(nodes))) == sorted(names)
    if len(nodes) > 1:
        disordered = encode_tree(nodes).replace(b"[{", b"[" + encode_tree(nodes[-1:])[10:-3] + b",{", 1)
        with pytest.raises(CorruptFileError, match="out of order or twice"):
            decode_tree(disordered)


@pytest.mark.parametrize("place", [0, 254, 255, 256, 598])
def test_a_tree_of_many_nodes_is_encoded_whole_and_refused_out_of_order(place: int) -> None:
    nodes = [_node(b"%03d <\\>" % number if number % 2 else b"%03d &" % number) for number in range(600)]
    assert encode_tree(nodes) == b'{"nodes":[' + b",".join(map(encode_node, nodes)) + b"]}\n"
    nodes[place] = nodes[place + 1]
    with pytest.raises(ValueError, match="out of order"):
        encode_tree(nodes)


def _node(name: bytes) -> Node:
    return Node.create(
        name=name, st_mode=0o100644, uid=0, gid=0, mtime_ns=0, atime_ns=0, ctime_ns=0, content=()
    )


@given(st.text())
def test_names_that_are_text_come_back(text: str) -> None:
    name = text.encode("utf-8", "surrogatepass")
    assert unquote_name(quote_name(name)) == name


@given(st.binary())
def test_a_spelling_holds_only_what_can_be_printed(name: bytes) -> None:
    for character in quote_name(name):
        assert character == " " or unicodedata.category(character)[0] in "LMNPS"


@given(st.text(alphabet=st.sampled_from("\\xuUa0179fF\"'n\n é")))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = unquote_name(text)
    except ValueError:
        return
    assert unquote_name(quote_name(name)) == name

"""The same bytes give the same chunks, however they arrive."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.chunker import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, Chunker

KIB = 1 << 10
LONGEST_BYTES = 9 << 20


@given(
    st.integers(0, LONGEST_BYTES),
    st.integers(0, 5),
    st.lists(st.integers(64 * KIB, 4096 * KIB), min_size=1, max_size=5),
)
@settings(max_examples=8, deadline=None)
def test_the_same_bytes_give_the_same_chunks(size: int, seed: int, arrivals: list[int]) -> None:
    content = _content(size, seed)
    chunker = Chunker(seed=77)
    whole = chunker.cuts(memoryview(content), final=True)
    assert sum(whole) == size
    assert _arriving(chunker, content, arrivals) == whole
    assert all(MIN_CHUNK_BYTES <= length <= MAX_CHUNK_BYTES for length in whole[:-1])


@given(st.integers(0, 3), st.integers(1, 1 << 62))
@settings(max_examples=3, deadline=None)
def test_an_insertion_moves_few_cuts(seed: int, chunker_seed: int) -> None:
    """What comes after an insertion is cut as before, after some chunks."""
    content = Random(seed).randbytes(LONGEST_BYTES)
    chunker = Chunker(seed=chunker_seed | 1)
    before = _pieces(content, chunker.cuts(memoryview(content), final=True))
    longer = content[: 2 << 20] + b"inserted" + content[2 << 20 :]
    after = _pieces(longer, chunker.cuts(memoryview(longer), final=True))
    assert len(after - before) <= len(after) // 2 + 2


def _content(size: int, seed: int) -> bytes:
    """Random bytes; zeros; a short pattern; or half of each."""
    if seed == 0:
        return bytes(size)
    if seed == 1:
        return (b"pattern " * (size // 8 + 1))[:size]
    if seed == 2:
        return bytes(size // 2) + Random(seed).randbytes(size - size // 2)
    return Random(seed).randbytes(size)


def _arriving(chunker: Chunker, content: bytes, arrivals: list[int]) -> list[int]:
    """Cut as a reader does: what is at hand now, the rest kept for later."""
    cuts: list[int] = []
    start = end = turn = 0
    while end < len(content):
        end = min(len(content), end + arrivals[turn % len(arrivals)])
        turn += 1
        found = chunker.cuts(memoryview(content)[start:end], final=False)
        cuts += found
        start += sum(found)
    return cuts + chunker.cuts(memoryview(content)[start:], final=True)


def _pieces(content: bytes, cuts: list[int]) -> set[bytes]:
    pieces, start = set(), 0
    for length in cuts:
        pieces.add(content[start : start + length])
        start += length
    return pieces

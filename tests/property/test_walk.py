"""A walk that stops anywhere, and goes on in another process, tells the same as one that does not stop."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.source.events import (
    EnterDirectory,
    Entry,
    Files,
    LeaveDirectory,
    LeftOut,
    Unreadable,
    WalkEvent,
)
from holdfast.source.spec import FilterRules, SourceSpec
from holdfast.source.walk import Walker

NAMES = st.sampled_from(["a", "b", "a-b", "c", "-", "é", "z" * 200, ".hidden", "skip", "file"])
TREES = st.recursive(
    st.none(), lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=30
).filter(lambda tree: tree is not None)
DEEP_LEVELS = 50

Told = tuple[str, bytes]


@given(TREES, st.lists(st.integers(1, 5), min_size=1, max_size=4), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_walk_cut_anywhere_is_the_whole_walk(
    tree: dict[str, object],
    steps: list[int],
    filtered: bool,  # noqa: FBT001 -- drawn
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="walk-"))
    try:
        _plant(folder, tree)
        rules = FilterRules(excludes=("skip", "/**/c/b")) if filtered else FilterRules()
        spec = SourceSpec(roots=(bytes(folder),), filters=rules, allow_empty=True)
        assert list(_in_pieces(spec, steps)) == list(_whole(spec))
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("step", [1, 7, 64])
def test_a_deep_walk_with_entries_on_each_level(tmp_path: Path, step: int) -> None:
    """Deeper than directories stay open, so those above are opened again on the way back."""
    here = tmp_path / "root"
    here.mkdir()
    for _ in range(DEEP_LEVELS):
        for name in ("a-file", "z-file"):
            (here / name).touch()
        (here / "z-link").symlink_to("nowhere")
        here /= "d"
        here.mkdir()
    spec = SourceSpec(roots=(bytes(tmp_path / "root"),))
    told = list(_whole(spec))
    assert sum(kind == "file" for kind, _ in told) == 2 * DEEP_LEVELS
    assert sum(kind == "other" for kind, _ in told) == DEEP_LEVELS
    assert list(_in_pieces(spec, [step])) == told


def test_several_roots_one_inside_the_other(tmp_path: Path) -> None:
    for name in ("one/two/three", "one/beside", "other/below"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    roots = tuple(bytes(tmp_path / name) for name in ("one", "one/two", "other/below"))
    spec = SourceSpec(roots=roots)
    told = list(_whole(spec))
    assert sum(kind == "file" for kind, _ in told) == 3
    assert list(_in_pieces(spec, [1])) == told


def _plant(folder: Path, tree: dict[str, object]) -> None:
    for name, below in tree.items():
        if isinstance(below, dict):
            (folder / name).mkdir()
            _plant(folder / name, below)
        else:
            (folder / name).touch()


def _whole(spec: SourceSpec) -> Iterator[Told]:
    for event in Walker(spec):
        yield from _told(event)


def _in_pieces(spec: SourceSpec, steps: list[int]) -> Iterator[Told]:
    """Each Walker gives some events; then a new one goes on from its cursor."""
    cursor: bytes | None = None
    turn = 0
    while True:
        walker = Walker(spec, cursor=cursor)
        left = steps[turn % len(steps)]
        turn += 1
        for event in walker:
            yield from _told(event)
            left -= 1
            if not left:
                cursor = walker.cursor()
                break
        else:
            return


def _told(event: WalkEvent) -> Iterator[Told]:
    """An event without what may differ: how many files come together."""
    match event:
        case EnterDirectory():
            yield "enter", event.path
        case LeaveDirectory():
            yield "leave", event.path
        case Files():
            yield from (("file", event.directory + b"/" + name) for name in event.names)
        case Entry():
            yield "other", event.path
        case Unreadable():
            yield "unreadable", event.path
    for trouble in event.troubles:
        if not isinstance(trouble, LeftOut):
            yield type(trouble).__name__, trouble.path

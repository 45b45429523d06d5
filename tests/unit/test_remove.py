"""Whoever removes a tree is asked between entries whether to go on."""

import os
from pathlib import Path

import pytest

from holdfast.safe_fs.directories import Directories
from holdfast.safe_fs.remove import remove_tree


class Enough(Exception):
    pass


def test_a_removal_is_stopped_between_entries(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / "tree" / f"{number}").mkdir(parents=True)
    asked = 0

    def ask() -> None:
        nonlocal asked
        asked += 1
        if asked == 7:
            raise Enough

    with Directories(os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)) as below:
        with pytest.raises(Enough):
            list(remove_tree(below.open(b""), b"tree", on_entry=ask))
        assert 0 < len(os.listdir(tmp_path / "tree")) < 9
        list(remove_tree(below.open(b""), b"tree", on_entry=lambda: None))
    assert os.listdir(tmp_path) == []

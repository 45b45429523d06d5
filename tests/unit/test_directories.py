"""Directories below a root say what is in the way: a link is refused as one, whatever else as no directory."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import UnsafePathError
from holdfast.safe_fs.directories import Directories


@pytest.fixture
def directories(tmp_path: Path) -> Iterator[Directories]:
    (tmp_path / "inside").mkdir()
    (tmp_path / "link").symlink_to("inside")
    (tmp_path / "file").touch()
    with Directories(os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)) as below:
        below.open(b"")
        yield below


@pytest.mark.parametrize("way", ["open", "make"])
def test_what_is_in_the_way_is_told(directories: Directories, way: str) -> None:
    reach = getattr(directories, way)
    reach(b"inside")
    with pytest.raises(UnsafePathError, match="a link is in the place of a directory"):
        reach(b"link")
    with pytest.raises(NotADirectoryError):
        reach(b"file")


def test_what_is_not_there_is_missing_or_made(directories: Directories, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        directories.open(b"new")
    directories.make(b"new")
    assert (tmp_path / "new").is_dir()

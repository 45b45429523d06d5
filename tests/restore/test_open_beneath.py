"""Opening beneath a directory: no way out, no link, any depth; with openat2 and without it."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.safe_fs import open as opening
from holdfast.safe_fs.open import open_beneath

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


@pytest.fixture(params=[True, False], ids=["openat2", "step by step"], autouse=True)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening._Kernel, "has_openat2", request.param)


@pytest.fixture
def base(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, DIRECTORY)
    yield fd
    os.close(fd)


def test_a_file_and_the_base_itself(base: int, tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_bytes(b"content")
    for path, inside in ((b"a/b/file", "a/b/file"), (b"./a//b/", "a/b"), (b"", "."), (b".", ".")):
        fd = open_beneath(base, path, os.O_RDONLY)
        assert os.fstat(fd).st_ino == (tmp_path / inside).stat().st_ino
        os.close(fd)


@pytest.mark.parametrize("path", [b"/etc/passwd", b"..", b"a/../../b"])
def test_what_names_a_way_out_is_refused(base: int, path: bytes) -> None:
    with pytest.raises(ValueError, match="beneath"):
        open_beneath(base, path, os.O_RDONLY)


@pytest.mark.parametrize("path", [b"link", b"link/passwd", b"inside", b"inside/file", b"a/up/etc"])
def test_no_link_is_followed(base: int, tmp_path: Path, path: bytes) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "inside").symlink_to("a")
    (tmp_path / "a/up").symlink_to("../../../../../..")
    with pytest.raises(OSError) as caught:  # noqa: PT011 -- the number is looked at
        open_beneath(base, path, os.O_RDONLY)
    assert caught.value.errno in {errno.ELOOP, errno.EXDEV, errno.ENOTDIR}


@pytest.fixture
def bottomless(base: int, tmp_path: Path) -> Iterator[int]:
    """The base, and after the test nothing below it: pytest's own removal recurses, and fails on deep trees."""
    yield base
    subprocess.run(["find", tmp_path, "-mindepth", "1", "-delete"], check=True)


@pytest.mark.parametrize("name", [b"d", b"n" * 255])
def test_a_path_longer_than_the_kernel_takes(bottomless: int, name: bytes) -> None:
    base = bottomless
    here = os.dup(base)
    levels = 5_000 // len(name) + 20
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    fd = open_beneath(base, b"/".join([name] * levels), DIRECTORY)
    assert os.fstat(fd).st_ino == os.fstat(here).st_ino
    os.close(fd)
    os.close(here)

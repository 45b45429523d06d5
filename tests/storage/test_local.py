"""LocalStorage keeps the contract, with and without hard links."""

import contextlib
import ctypes
import mmap
import os
import stat
import tempfile
from pathlib import Path

import pytest

from holdfast.storage.contract import Storage
from holdfast.storage.durable import link_new
from holdfast.storage.local import LocalStorage
from tests.storage.conformance import StorageConformance


class TestLocalStorage(StorageConformance):
    def make(self, tmp_path: Path) -> Storage:
        return LocalStorage(tmp_path / "repository")


class TestLocalStorageWithoutHardLinks(StorageConformance):
    def make(self, tmp_path: Path) -> Storage:
        return LocalStorage(tmp_path / "repository", hard_links=False)


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_name_that_is_taken_or_given_leaves_no_temporary_file(tmp_path: Path, *, hard_links: bool) -> None:
    storage = LocalStorage(tmp_path, hard_links=hard_links)
    assert storage.put_new("runs/name", b"first")
    assert not storage.put_new("runs/name", b"second")
    assert os.listdir(tmp_path / "runs") == ["name"]
    assert storage.get("runs/name", limit_bytes=9) == b"first"
    (tmp_path / "runs" / "late").touch()  # of one that looked before the name was given
    assert not link_new(f"{tmp_path}/runs/late", f"{tmp_path}/runs/name", hard_links=hard_links)
    assert os.listdir(tmp_path / "runs") == ["name"]


@pytest.mark.parametrize("mode", [0o400, 0o440])
def test_files_are_as_closed_as_the_config(tmp_path: Path, mode: int) -> None:
    """As restic has it: a group that may read that file may read all, and nobody may write any."""
    (tmp_path / "config").touch(mode)
    (tmp_path / "config").chmod(mode)
    LocalStorage(tmp_path).put("keys/name", b"x")
    assert stat.S_IMODE((tmp_path / "keys/name").stat().st_mode) == mode


def test_a_folder_that_is_deleted_leaves_no_directory(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.put("runs/one/deep/er", b"x")
    storage.put("runs/two", b"y")
    storage.delete_folder("runs/one")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["two"]


def resident_bytes(path: Path) -> int:
    """How much of a file the system's cache holds."""
    size = path.stat().st_size
    pages = (size + mmap.PAGESIZE - 1) // mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    with path.open("rb") as file:
        where = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
    seen = (ctypes.c_ubyte * pages)()
    assert libc.mincore(ctypes.c_void_p(where), ctypes.c_size_t(size), seen) == 0
    libc.munmap(ctypes.c_void_p(where), ctypes.c_size_t(size))
    return sum(page & 1 for page in seen) * mmap.PAGESIZE


def takes_direct_writes(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        os.close(os.open(folder / "probe", os.O_WRONLY | os.O_CREAT | os.O_DIRECT))
        return True
    return False


class TestLargeFiles:
    """Files that are written past the cache, where that is possible; the same bytes in any case."""

    SIZE = 3 * 1024 * 1024 + 123

    def test_they_do_not_fill_the_cache(self, tmp_path: Path) -> None:
        if not takes_direct_writes(tmp_path):
            pytest.skip("this file system does not know O_DIRECT")
        memory = mmap.mmap(-1, 4 * 1024 * 1024)
        memory[: self.SIZE] = content = os.urandom(self.SIZE)
        LocalStorage(tmp_path).put("data/pack", memoryview(memory)[: self.SIZE])

        assert resident_bytes(tmp_path / "data" / "pack") <= 16 * mmap.PAGESIZE
        assert (tmp_path / "data" / "pack").read_bytes() == content

    @pytest.mark.parametrize("begin", [0, 1, 512])
    def test_from_memory_that_begins_anywhere(self, tmp_path: Path, begin: int) -> None:
        memory = mmap.mmap(-1, 4 * 1024 * 1024)
        memory[begin : begin + self.SIZE] = content = os.urandom(self.SIZE)
        LocalStorage(tmp_path).put("data/pack", memoryview(memory)[begin : begin + self.SIZE])

        assert (tmp_path / "data" / "pack").read_bytes() == content

    def test_in_parts_of_any_length(self, tmp_path: Path) -> None:
        parts = [os.urandom(size) for size in (self.SIZE, 5, self.SIZE, 4096, 0, self.SIZE)]
        LocalStorage(tmp_path).put("data/pack", parts)

        assert (tmp_path / "data" / "pack").read_bytes() == b"".join(parts)

    def test_where_the_file_system_refuses(self) -> None:
        shared = Path("/dev/shm")  # noqa: S108 - a file system in memory, which older systems do not write to directly
        if not shared.is_dir():
            pytest.skip("there is no file system in memory")
        content = os.urandom(self.SIZE)
        with tempfile.TemporaryDirectory(dir=shared) as folder:
            LocalStorage(Path(folder)).put("data/pack", content)

            assert (Path(folder) / "data" / "pack").read_bytes() == content

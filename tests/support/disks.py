"""Small file systems that can be full, read-only, or lose their power. Root only: elsewhere the tests are skipped."""

import contextlib
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.programs import found

_EXT4_SHUTDOWN: Final = 0x8004587D
"""_IOR('X', 125, u32)"""
_WITHOUT_FLUSHING_THE_LOG: Final = 2
# ext4 left to itself: no delayed flush at a rename over a file, and no journal commit in the time of a test
_MOUNT_OPTIONS: Final = "loop,noauto_da_alloc,commit=300"


@contextlib.contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[Path]:
    """A tmpfs with these options (`size=4m`, `nr_inodes=40`, …) at `folder`."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", options, "none", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def bound(source: Path, folder: Path) -> Iterator[None]:
    """A bind mount of `source` at `folder`, which exists: another mount of the same file system."""
    _mount("--bind", str(source), str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Change the options of what is mounted at `folder`."""
    _mount("-o", f"remount,{options}", str(folder))


class Disk:
    """An ext4 file system in a file, mounted at `folder`, whose power can be cut."""

    def __init__(self, folder: Path, image: Path) -> None:
        self.folder = folder
        self._image = image

    def sync(self) -> None:
        """Make everything durable that is there now."""
        subprocess.run(["sync", "--file-system", str(self.folder)], check=True)

    def cut_power(self) -> None:
        """Lose everything that has not been flushed, and come back as after a reboot."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_SHUTDOWN, struct.pack("I", _WITHOUT_FLUSHING_THE_LOG))
        finally:
            os.close(descriptor)
        self.unmount()
        self.mount()

    def mount(self) -> None:
        """As an administrator would."""
        _mount("-o", _MOUNT_OPTIONS, str(self._image), str(self.folder))

    def unmount(self) -> None:
        """The same."""
        subprocess.run(["umount", str(self.folder)], check=True)


@contextlib.contextmanager
def ext4(folder: Path, *, size: str = "64M") -> Iterator[Disk]:
    """A new file system, mounted at `folder` while the block lasts."""
    image = folder.with_suffix(".img")
    subprocess.run(["truncate", "--size", size, str(image)], check=True)
    program = found("mkfs.ext4") or "mkfs.ext4"
    subprocess.run([program, "-q", "-E", "lazy_itable_init=0", str(image)], check=True)
    folder.mkdir()
    disk = Disk(folder, image)
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()


def _mount(*arguments: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount file systems")
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine mounts no such file system: {done.stderr.strip()}")

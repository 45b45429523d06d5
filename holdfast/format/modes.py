"""Trees hold Go's FileMode; here it is made of POSIX's `st_mode`, and back.

Source: Go, io/fs, "Constants"; restic, node.go.
"""

import stat
from functools import lru_cache
from typing import Final

FILE: Final = "file"
DIRECTORY: Final = "dir"
SYMLINK: Final = "symlink"
BLOCK_DEVICE: Final = "dev"
CHARACTER_DEVICE: Final = "chardev"
FIFO: Final = "fifo"
SOCKET: Final = "socket"

_GO_DIR: Final = 1 << 31
_GO_SYMLINK: Final = 1 << 27
_GO_DEVICE: Final = 1 << 26
_GO_FIFO: Final = 1 << 25
_GO_SOCKET: Final = 1 << 24
_GO_CHARACTER: Final = 1 << 21
_GO_BITS: Final = ((1 << 23, stat.S_ISUID), (1 << 22, stat.S_ISGID), (1 << 20, stat.S_ISVTX))
_PERMISSIONS: Final = 0o777

_KINDS: Final = {
    stat.S_IFREG: (FILE, 0),
    stat.S_IFDIR: (DIRECTORY, _GO_DIR),
    stat.S_IFLNK: (SYMLINK, _GO_SYMLINK),
    stat.S_IFBLK: (BLOCK_DEVICE, _GO_DEVICE),
    stat.S_IFCHR: (CHARACTER_DEVICE, _GO_DEVICE | _GO_CHARACTER),
    stat.S_IFIFO: (FIFO, _GO_FIFO),
    stat.S_IFSOCK: (SOCKET, _GO_SOCKET),
}
_FORMATS: Final = {kind: bits for bits, (kind, _) in _KINDS.items()}


@lru_cache(maxsize=1024)
def kind_and_mode(st_mode: int) -> tuple[str, int]:
    """The node type and Go's FileMode of an `st_mode`.

    Raises:
        ValueError: a type that POSIX does not know.
    """
    entry = _KINDS.get(stat.S_IFMT(st_mode))
    if entry is None:
        raise ValueError(f"unknown file type in mode {st_mode:o}")
    kind, mode = entry
    mode |= st_mode & _PERMISSIONS
    for go_bit, bit in _GO_BITS:
        if st_mode & bit:
            mode |= go_bit
    return kind, mode


@lru_cache(maxsize=1024)
def st_mode(kind: str, mode: int) -> int:
    """The `st_mode` of a node; the type comes from `kind`, an unknown one gives none."""
    result = _FORMATS.get(kind, 0) | (mode & _PERMISSIONS)
    for go_bit, bit in _GO_BITS:
        if mode & go_bit:
            result |= bit
    return result

"""Directories of a source by absolute path: a root as the system resolves it, what lies below without links."""

import os
from collections.abc import Sequence
from typing import Final

from holdfast.safe_fs.open import open_beneath

DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
BELOW_FLAGS: Final = DIRECTORY_FLAGS | os.O_NOFOLLOW
_WAY_FLAGS: Final = DIRECTORY_FLAGS | os.O_PATH
"""Directories above the roots are passed through, not listed: that takes the permission to search, not to read."""


class SourceRoots:
    """Opens directories at or below roots, and those above them."""

    def __init__(self, roots: Sequence[bytes]) -> None:
        self._roots = frozenset(roots)

    def open_directory(self, path: bytes) -> int:
        """A descriptor of the directory; the caller closes it.

        Raises:
            OSError: it cannot be opened, or a link has taken the place of a directory on the way.
        """
        root = self._root_of(path)
        if root is None:
            return os.open(path, _WAY_FLAGS)
        if path == root:
            return os.open(root, BELOW_FLAGS)
        return self._open_below(root, path[len(root) :].lstrip(b"/"))

    def _root_of(self, path: bytes) -> bytes | None:
        """The innermost root that a path is, or lies below: what is above it may have been reached through a link on
        purpose. Lists may name a hundred thousand roots, so it is looked for from the path upwards."""
        while path not in self._roots:
            if path == b"/":
                return None
            path = path.rpartition(b"/")[0] or b"/"
        return path

    @staticmethod
    def _open_below(root: bytes, rest: bytes) -> int:
        base = os.open(root, BELOW_FLAGS)
        try:
            return open_beneath(base, rest, BELOW_FLAGS)
        finally:
            os.close(base)

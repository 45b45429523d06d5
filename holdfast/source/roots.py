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
        # Of nested roots the innermost decides: what is above it may have been reached through a link on purpose.
        self._roots = sorted(set(roots), key=len, reverse=True)

    def open_directory(self, path: bytes) -> int:
        """A descriptor of the directory; the caller closes it.

        Raises:
            OSError: it cannot be opened, or a link has taken the place of a directory on the way.
        """
        for root in self._roots:
            if path == root:
                return os.open(root, BELOW_FLAGS)
            prefix = root if root.endswith(b"/") else root + b"/"
            if path.startswith(prefix):
                return self._open_below(root, path[len(prefix) :])
        return os.open(path, _WAY_FLAGS)

    @staticmethod
    def _open_below(root: bytes, rest: bytes) -> int:
        base = os.open(root, BELOW_FLAGS)
        try:
            return open_beneath(base, rest, BELOW_FLAGS)
        finally:
            os.close(base)

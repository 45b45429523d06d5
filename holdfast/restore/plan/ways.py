"""Directories that lead to a source's roots: the snapshot has a node for each of them, and knows nothing beside."""

from collections.abc import Sequence

from holdfast.format.names import quote_name


class SourceWays:
    """Tells the ways of a snapshot. paths: as snapshots list them; subfolder: where the restored tree begins."""

    def __init__(self, paths: Sequence[str], subfolder: bytes = b"") -> None:
        roots = [path.rstrip("/") or "/" for path in paths]
        self._above = {above for root in roots for above in _ancestors(root)}
        # A root inside another one is part of it, and so is all that lies between them.
        self._inside = tuple(root.rstrip("/") + "/" for root in roots)
        self._depth = max((text.count("/") for text in self._above), default=0)
        self._subfolder = subfolder

    def has(self, path: bytes) -> bool:
        """Whether a directory of the restored tree (b"" for its root) leads to the source's roots."""
        absolute = self._subfolder + b"/" + path if path else self._subfolder or b"/"
        if absolute.count(b"/") > self._depth:
            return False
        # Snapshots quote a path that is not UTF-8 as a whole, so its beginning may be quoted or not.
        return any(text in self._above and not self._is_inside(text) for text in _spellings(absolute))

    def _is_inside(self, text: str) -> bool:
        return (text.rstrip("/") + "/").startswith(self._inside)


def _ancestors(path: str) -> list[str]:
    found = ["/"] if path != "/" else []
    position = path.find("/", 1)
    while position > 0:
        found.append(path[:position])
        position = path.find("/", position + 1)
    return found


def _spellings(path: bytes) -> tuple[str, ...]:
    try:
        return path.decode(), quote_name(path)
    except UnicodeDecodeError:
        return (quote_name(path),)

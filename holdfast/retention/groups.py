"""A policy is applied to each group of snapshots by itself: to a source's, or to those of one host and set of paths.

A snapshot that names its source belongs to that source on its host, whatever paths the source has had: with groups by
paths, a source whose paths change leaves its old snapshots in a group of their own, which no policy ever empties. All
others are grouped as restic does, by host and paths. A person who wants restic's grouping for all names it.

Source of restic's: internal/data/snapshot_group.go (`GroupSnapshots`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from holdfast.errors import UsageError
from holdfast.format.tags import source_of
from holdfast.repository.snapshots import StoredSnapshot

BY_SOURCE: Final = "source"
_WORDS: Final = {
    "host": "host",
    "hosts": "host",
    "path": "paths",
    "paths": "paths",
    "tag": "tags",
    "tags": "tags",
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Group:
    """What the snapshots of a group have in common; what they are not grouped by is empty."""

    host: str = ""
    source: str = ""
    paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As people see it."""
        parts = [f"source {self.source}" if self.source else "", f"host {self.host}" if self.host else ""]
        parts += [f"paths {', '.join(self.paths)}" if self.paths else ""]
        parts += [f"tags {', '.join(self.tags)}" if self.tags else ""]
        return ", ".join(filter(None, parts)) or "all snapshots"


def parse_group_by(text: str) -> frozenset[str]:
    """By what snapshots are grouped: "source" (and by host and paths those without one), or restic's words.

    Raises:
        UsageError: a word is not known.
    """
    words = [word for word in text.split(",") if word]
    if words == [BY_SOURCE]:
        return frozenset((BY_SOURCE,))
    unknown = [word for word in words if word not in _WORDS]
    if unknown:
        raise UsageError(
            f"--group-by: {unknown[0]!r} is not known",
            hint='Write "source" alone, or of "host", "paths" and "tags" what you like, with commas between; or "".',
        )
    return frozenset(_WORDS[word] for word in words)


def grouped(
    snapshots: Iterable[StoredSnapshot], by: frozenset[str] = frozenset((BY_SOURCE,))
) -> dict[Group, list[StoredSnapshot]]:
    """The snapshots of each group, in the order in which they come; groups in theirs."""
    found: dict[Group, list[StoredSnapshot]] = {}
    for stored in snapshots:
        found.setdefault(_group_of(stored, by), []).append(stored)
    return dict(sorted(found.items()))


def _group_of(stored: StoredSnapshot, by: frozenset[str]) -> Group:
    snapshot = stored.snapshot
    if BY_SOURCE in by:
        source = source_of(snapshot)
        if source:
            return Group(host=snapshot.hostname, source=source)
        by = frozenset(("host", "paths"))
    return Group(
        host=snapshot.hostname if "host" in by else "",
        paths=tuple(sorted(snapshot.paths or ())) if "paths" in by else (),
        tags=tuple(sorted(snapshot.tags or ())) if "tags" in by else (),
    )

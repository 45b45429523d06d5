"""Has a file changed since the parent snapshot? restic's rule: size, mtime, ctime, inode (archiver.go)."""

import os

from holdfast.format.times import format_time, parse_time
from holdfast.format.tree import Node
from holdfast.source.spec import SourceSpec


def is_unchanged(stat: os.stat_result, before: Node, spec: SourceSpec) -> bool:
    """Whether the parent's node may stand for the file; its blobs are not looked at here."""
    return (
        before.is_file
        and before.content is not None
        and stat.st_size == before.size
        and (spec.ignore_inode or stat.st_ino == before.inode)
        and _is_time(stat.st_mtime_ns, before.mtime)
        and (spec.ignore_ctime or _is_time(stat.st_ctime_ns, before.ctime))
    )


def _is_time(ns: int, text: str) -> bool:
    """Whether the text says this time. Writing a time is quicker than reading one, and mostly the same text comes out;
    restic writes with the local offset."""
    return format_time(ns) == text or (not text.endswith("Z") and parse_time(text) == ns)

"""Has a file changed since the parent snapshot? restic's rule: size, mtime, ctime, inode (archiver.go)."""

import os

from holdfast.format.modes import FILE
from holdfast.format.times import is_time
from holdfast.format.tree import Node
from holdfast.source.spec import SourceSpec


def is_unchanged(stat: os.stat_result, before: Node, spec: SourceSpec) -> bool:
    """Whether the parent's node may stand for the file; its blobs are not looked at here."""
    return (
        before.kind == FILE
        and before.content is not None
        and stat.st_size == before.size
        and (spec.ignore_inode or stat.st_ino == before.inode)
        and is_time(stat.st_mtime_ns, before.mtime)
        and (spec.ignore_ctime or is_time(stat.st_ctime_ns, before.ctime))
    )

"""What a repository holds of a source, node by node; and restic's own view of it."""

import json
from collections.abc import Iterator
from pathlib import Path

from holdfast.format.tree import Node
from holdfast.ids import BlobId, from_hex
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import find_snapshot
from tests.support.comparison import restic
from tests.support.engine import PASSWORD


def nodes(session: RepositorySession, snapshot: str) -> Iterator[tuple[bytes, Node]]:
    """Every node of a snapshot with its path, in walk order."""
    with session.hold() as held:
        tree = find_snapshot(session.repository, snapshot).snapshot.tree
        pending = [(b"", BlobId(from_hex(tree)))]
        while pending:
            above, blob = pending.pop()
            for node in held.loader.load_tree(blob):
                path = above + b"/" + node.name
                yield path, node
                if node.subtree_id is not None:
                    pending.append((path, node.subtree_id))


def restic_json(repository: Path, *arguments: str) -> list[dict[str, object]]:
    """The objects that a restic command prints, one a line."""
    printed = restic(repository, PASSWORD, *arguments, "--json")
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def restic_backup(repository: Path, source: Path, *more: str) -> dict[str, object]:
    """Let restic back a source up; its summary."""
    return restic_json(repository, "backup", str(source), "--host", "testhost", *more)[-1]


def as_go_prints(name: bytes) -> str:
    """A name as Go's JSON prints it: each byte that is not UTF-8 becomes U+FFFD."""
    text = name.decode("utf-8", "surrogateescape")
    return "".join("\ufffd" if "\udc80" <= character <= "\udcff" else character for character in text)

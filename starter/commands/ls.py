"""`holdfast ls` lists the files of a snapshot."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from holdfast.errors import EXIT_COMPLETE, SnapshotNotFoundError, UsageError
from holdfast.format.node import Node
from holdfast.ids import BlobId, from_hex, short, to_hex
from holdfast.repository.choice import Choice
from holdfast.repository.packs.loader import find_node
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import chosen_snapshots, find_snapshot, list_snapshots
from holdfast.service.settings.suggestions import one_of
from holdfast.starter.requests.choice import choice_of, place_of, refuse_unknown
from holdfast.starter.requests.repositories import open_for_reading, repository_session
from holdfast.starter.shell.cells import one_line
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import SnapshotFilterOptions, Texts
from holdfast.starter.shell.output import json_line, say, say_all, say_flowed, tell, warn
from holdfast.starter.shell.screen import Screen, answer_screen
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import ahead_of_time, json_text, local_time, named_time, printable
from holdfast.starter.view.snapshots import snapshot_document
from holdfast.stats.versions import versions
from holdfast.terms import LATEST
from holdfast.units import counted, format_bytes

LoadTree = Callable[[BlobId], list[Node]]

_MODE_LETTERS: Final = "dalTLDpSugct?"
_MODE_TOP_BIT: Final = 31
_PERMISSION_LETTERS: Final = "rwxrwxrwx"
_VERSION_COLUMNS: Final = (
    Column("In snapshot of", kind=Kind.TIME),
    Column("Snapshot"),
    Column("Size", kind=Kind.NUMBER),
    Column("Modified", rank=1, kind=Kind.TIME),
    Column("Path", kind=Kind.PATH),
)
_MINUTES: Final = len("2026-01-31 12:34")


@dataclass(frozen=True, slots=True, kw_only=True)
class LsOptions(SnapshotFilterOptions):
    """Options of `ls`."""

    snapshot: Annotated[
        str,
        typer.Argument(
            metavar="SNAPSHOT[:SUBFOLDER]", help='An id, or "latest"; paths begin at the subfolder then.'
        ),
    ] = LATEST
    directories: Annotated[
        Texts, typer.Argument(metavar="[PATHS]", help="Only what is in these.", show_default=False)
    ] = ()
    long: Annotated[bool, typer.Option("--long", "-l", help="Modes, owners, sizes and times too.")] = False
    versions: Annotated[
        bool, typer.Option("--versions", help="The PATHS alone, in all snapshots: each version of them.")
    ] = False
    recursive: Annotated[bool, typer.Option("--recursive", help="Below PATHS, descend into directories.")] = (
        False
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """One node with its path, which begins with a slash."""

    path: bytes
    node: Node


def ls(options: LsOptions) -> int:
    """List the files of a snapshot."""
    invocation = Invocation.of(options)
    name, _, inside = options.snapshot.partition(":")
    choice, place = choice_of(invocation, options), place_of(invocation, options)
    repository = open_for_reading(invocation, no_lock=options.no_lock, fallback=place)
    with repository_session(repository) as session, session.hold() as held:
        if options.versions:
            return tell_versions(held, options, choice)
        if choice and name == LATEST:
            refuse_unknown(choice, list_snapshots(session.repository))
        stored = find_snapshot(session.repository, name, choice, ignore_damaged=options.ignore_damaged)
        for ahead in stored.ahead:
            warn(ahead_of_time(to_hex(ahead), to_hex(stored.id)))
        root = BlobId(from_hex(stored.snapshot.tree))
        held.reach(root)
        load_tree = held.loader.load_tree
        tree = _tree_at(load_tree, root, inside)
        wanted = Wanted(options.directories, recursive=options.recursive)
        wanted.check(load_tree, tree)
        entries = walk(load_tree, tree, wanted)
        if options.json:
            head = snapshot_document(stored) | {"struct_type": "snapshot", "message_type": "snapshot"}
            say(json_line(head))
            say_all(json_line(_json(entry)) for entry in entries)
            return EXIT_COMPLETE
        if not options.quiet:
            paths = ", ".join(stored.snapshot.paths or ())
            say_flowed([f"snapshot {short(stored.id)} of [{paths}] at {named_time(stored.time_ns)}:"])
        screen = answer_screen()
        line = _long if options.long else _short
        say_all(line(entry, screen) for entry in entries)
    return EXIT_COMPLETE


def tell_versions(held: HeldRepository, options: LsOptions, choice: Choice) -> int:
    """What became of each path, from the newest snapshot on; a snapshot in which nothing changed is left out.

    Raises:
        UsageError: no path is named.
    """
    named = [name for name in (options.snapshot, *options.directories) if name != LATEST]
    if not named:
        raise UsageError("--versions needs a path", hint="`holdfast ls --versions /home/me/letter.txt`")
    taken = chosen_snapshots(held.repository, choice=choice)
    held.refresh()  # what was found since may need what was written since
    rows: list[tuple[str, ...]] = []
    documents: list[dict[str, object]] = []
    for path in named:
        for stored, node in reversed(list(versions(held.loader.load_tree, taken, os.fsencode(path)))):
            size, time = (
                ("gone", "") if node is None else (format_bytes(node.size), local_time(node.mtime_ns))
            )
            rows.append(
                (local_time(stored.time_ns), short(stored.id), size, time, printable(os.fsencode(path)))
            )
            found = None if node is None else _json(Entry(os.fsencode(path), node))
            documents.append(
                {"snapshot": to_hex(stored.id), "time": stored.snapshot.time, "path": path, "node": found}
            )
    footer = f"{counted(len(rows), 'version')} in {counted(len(taken), 'snapshot')}"
    return tell(options, documents, table(_VERSION_COLUMNS, rows, footer))


class Wanted:
    """Which entries are listed: all, or those in the named directories; restic's rules (cmd_ls.go)."""

    def __init__(self, directories: Sequence[str], *, recursive: bool) -> None:
        self._directories = [
            "/".join(["", *filter(None, path.split("/"))]).encode("utf-8", "surrogateescape") or b"/"
            for path in directories
        ]
        self._recursive = recursive

    def check(self, load_tree: LoadTree, root: BlobId) -> None:
        """Look for all that is named.

        Raises:
            SnapshotNotFoundError: one of them is not in the snapshot.
        """
        for named in self._directories:
            if named != b"/":
                _node_at(load_tree, root, named)

    def lists(self, path: bytes) -> bool:
        """Whether the entry is one of the named or lies below one."""
        return not self._directories or any(_is_prefix(named, path) for named in self._directories)

    def descends(self, path: bytes) -> bool:
        """Whether entries below this directory may be listed."""
        if not self._directories or (self._recursive and self.lists(path)):
            return True
        return any(_is_prefix(path, named) for named in self._directories)


def walk(load_tree: LoadTree, root: BlobId, wanted: Wanted) -> Iterator[Entry]:
    """The wanted entries in the order of the trees, each directory before what it holds."""
    waiting: list[Iterator[Entry]] = [_entries(load_tree, root, b"")]
    while waiting:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
            continue
        if wanted.lists(entry.path):
            yield entry
        subtree = entry.node.subtree_id
        if entry.node.is_directory and subtree is not None and wanted.descends(entry.path):
            waiting.append(_entries(load_tree, subtree, entry.path))


def permissions(mode: int) -> str:
    """Go's text of a file mode, as restic shows it."""
    letters = "".join(
        letter for bit, letter in enumerate(_MODE_LETTERS) if mode & (1 << (_MODE_TOP_BIT - bit))
    )
    last = len(_PERMISSION_LETTERS) - 1
    access = "".join(
        letter if mode & (1 << (last - bit)) else "-" for bit, letter in enumerate(_PERMISSION_LETTERS)
    )
    return (letters or "-") + access


def _node_at(load_tree: LoadTree, root: BlobId, path: bytes) -> Node:
    """The node of an absolute path that is not "/".

    Raises:
        SnapshotNotFoundError: there is none.
    """
    node = find_node(load_tree, root, path)
    if node is None:
        raise SnapshotNotFoundError(
            f"the snapshot has no {printable(path)}",
            hint=_nearest(load_tree, root, path),
        )
    return node


def _nearest(load_tree: LoadTree, root: BlobId, path: bytes) -> str:
    """What helps a person where a path leaves the snapshot: a name that is like the one that is not there."""
    below, passed = root, b""
    for name in filter(None, path.split(b"/")):
        nodes = {node.name: node for node in load_tree(below)}
        if name not in nodes:
            return one_of(printable(name), map(printable, nodes), f"{printable(passed)}/")
        passed += b"/" + name
        subtree = nodes[name].subtree_id
        if subtree is None:
            break
        below = subtree
    return f"{printable(passed)} is no directory."


def _tree_at(load_tree: LoadTree, root: BlobId, subfolder: str) -> BlobId:
    """The tree of a subfolder; the root where none is named.

    Raises:
        SnapshotNotFoundError: it is not there, or is no directory.
    """
    path = "/".join(["", *(part for part in subfolder.split("/") if part not in {"", "."})])
    if not path:
        return root
    tree = _node_at(load_tree, root, path.encode("utf-8", "surrogateescape")).subtree_id
    if tree is None:
        raise SnapshotNotFoundError(
            f"{printable(path.encode('utf-8', 'surrogateescape'))} is no directory in the snapshot",
            hint="Name its directory after the snapshot, and the file as a path.",
        )
    return tree


def _entries(load_tree: LoadTree, tree: BlobId, path: bytes) -> Iterator[Entry]:
    return (Entry(path + b"/" + node.name, node) for node in load_tree(tree))


def _is_prefix(directory: bytes, path: bytes) -> bool:
    return directory in {b"/", path} or path.startswith(directory + b"/")


def _json(entry: Entry) -> dict[str, object]:
    node = entry.node
    message: dict[str, object] = {
        "name": json_text(node.name),
        "type": node.kind,
        "path": json_text(entry.path),
        "uid": node.uid,
        "gid": node.gid,
    }
    if node.is_file:
        message["size"] = node.size
    return message | {
        "mode": node.mode,
        "permissions": permissions(node.mode),
        "mtime": node.mtime,
        "atime": node.atime,
        "ctime": node.ctime,
        "struct_type": "node",
        "message_type": "node",
    }


def _short(entry: Entry, screen: Screen) -> str:
    return one_line(printable(entry.path), screen=screen)


def _long(entry: Entry, screen: Screen) -> str:
    """As restic has it; on a narrow terminal owners, mode and time go, so that a quarter is left for the path."""
    node = entry.node
    mode, size, time = permissions(node.mode), f"{node.size:>6}", local_time(node.mtime_ns)
    head = f"{mode} {node.uid:>5} {node.gid:>5} {size} {time}"
    if screen.width is not None:
        shorter = (head, f"{mode} {size} {time[:_MINUTES]}", f"{size} {time[:_MINUTES]}", size)
        head = next((one for one in shorter if len(one) < screen.width * 3 // 4), size)
    target = f" -> {printable(node.target)}" if node.is_symlink else ""
    return f"{head} {one_line(printable(entry.path) + target, used=len(head) + 1, screen=screen)}"

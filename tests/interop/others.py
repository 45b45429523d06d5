"""Writes repositories in the ways of other programs, from what their formats say: rustic's files, restic's of old.

Each recipe writes one snapshot of a folder. What they have in common with ours (sealing, the header of a pack) is ours.
"""

import json
import os
import stat as modes
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from holdfast.format.index import BlobEntry, BlobType
from holdfast.format.modes import kind_and_mode
from holdfast.format.names import quote_name
from holdfast.format.pack_header import encode_header, encode_length
from holdfast.ids import BlobId, PackId, sha256, to_hex
from holdfast.repository.layout import CONFIG, INDEX, SNAPSHOTS, pack_name
from holdfast.repository.repository import Repository

Json = dict[str, object]
_TYPES: Final = {BlobType.DATA: "data", BlobType.TREE: "tree"}
_PIECE: Final = 600_000
HOST: Final = "testhost"


def rustic_time(ns: int) -> str:
    """As rustic writes it: with the local offset, and nine digits at most."""
    seconds, fraction = divmod(ns + 2 * 3600 * 10**9, 10**9)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{fraction:09d}+02:00" if fraction else f"{text}+02:00"


@dataclass(slots=True)
class Writer:
    """Blobs, packs and files of one repository."""

    repository: Repository
    packs: list[Json] = field(default_factory=list)
    length: Json = field(default_factory=dict)
    """What an index says of the size of a blob that is not compressed."""

    def pack(self, *blobs: tuple[BlobType, bytes], listed: bool = True, **more: object) -> None:
        """One pack of these blobs, uncompressed and of any types side by side. more: further members of its entry."""
        sealer = self.repository.sealer()
        entries: list[BlobEntry] = []
        sealed = b""
        for kind, content in blobs:
            data = bytes(sealer.seal(content))
            entries.append(
                BlobEntry(
                    id=BlobId(sha256(content)),
                    type=kind,
                    offset=len(sealed),
                    length=len(data),
                    uncompressed_length=0,
                )
            )
            sealed += data
        header = bytes(sealer.seal(encode_header(entries)))
        whole = sealed + header + encode_length(len(header))
        self.repository.storage.put(pack_name(PackId(sha256(whole))), whole)
        if listed:
            self.packs.append(
                {
                    "id": to_hex(sha256(whole)),
                    "blobs": [_blob(entry) | self.length for entry in entries],
                    **more,
                }
            )

    def index(self, **more: object) -> str:
        """An index file of the packs so far; its id."""
        return to_hex(self.repository.save_file(INDEX, _json({"packs": self.packs, **more})))

    def snapshot(self, document: Json) -> None:
        self.repository.save_file(SNAPSHOTS, _json(document))

    def config(self, **more: object) -> None:
        """The repository's config with further members."""
        path, sealer = Path(self.repository.storage.location) / CONFIG, self.repository.sealer()
        plain = json.loads(sealer.open(path.read_bytes()))
        path.unlink()
        path.write_bytes(sealer.seal(_json(plain | more)))


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _blob(entry: BlobEntry) -> Json:
    return {
        "id": to_hex(entry.id),
        "type": _TYPES[entry.type],
        "offset": entry.offset,
        "length": entry.length,
    }


@dataclass(slots=True)
class Trees:
    """The blobs of a folder. node: how the program writes the metadata of a path; bare: that of what is above it."""

    node: Callable[[Path], Json]
    bare: Callable[[Path], Json]
    blobs: list[tuple[BlobType, bytes]] = field(default_factory=list)

    def of(self, folder: Path) -> str:
        """The tree of "/" that leads to the folder; its id."""
        subtree = self._tree([self._entry(path) for path in _sorted(folder)])
        here = folder
        node: Json = self.node(here)
        while here != here.parent:
            subtree = self._tree(
                [{"name": quote_name(os.fsencode(here.name)), "type": "dir", **node, "subtree": subtree}]
            )
            here = here.parent
            node = self.bare(here)
        return subtree

    def _entry(self, path: Path) -> Json:
        name, status = quote_name(os.fsencode(path.name)), path.lstat()
        kind = kind_and_mode(status.st_mode)[0]
        entry: Json = {"name": name, "type": kind}
        if modes.S_ISLNK(status.st_mode):
            entry["linktarget"] = str(path.readlink())
        entry |= self.node(path)
        if modes.S_ISREG(status.st_mode):
            entry["content"] = self._content(path.read_bytes())
        if modes.S_ISDIR(status.st_mode):
            entry["subtree"] = self._tree([self._entry(below) for below in _sorted(path)])
        return entry

    def _content(self, content: bytes) -> list[str]:
        pieces = [content[start : start + _PIECE] for start in range(0, len(content), _PIECE)]
        return [self._save(BlobType.DATA, piece) for piece in pieces]

    def _tree(self, nodes: list[Json]) -> str:
        return self._save(BlobType.TREE, _json({"nodes": nodes}) + b"\n")

    def _save(self, kind: BlobType, content: bytes) -> str:
        if (kind, content) not in self.blobs:
            self.blobs.append((kind, content))
        return to_hex(sha256(content))


def _sorted(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: os.fsencode(path.name))


def _restic_node(path: Path) -> Json:
    status = path.lstat()
    kind, mode = kind_and_mode(status.st_mode)
    times = {
        name: rustic_time(ns)
        for name, ns in (
            ("mtime", status.st_mtime_ns),
            ("atime", status.st_mtime_ns),
            ("ctime", status.st_ctime_ns),
        )
    }
    node: Json = {"mode": mode, **times, "uid": status.st_uid, "gid": status.st_gid, "inode": status.st_ino}
    if kind == "file":
        node |= {"size": status.st_size, "links": status.st_nlink}
    if kind == "symlink":
        node |= {"links": status.st_nlink}
    return node | {"content": None}


def _rustic_node(path: Path) -> Json:
    """Without what is zero, and with the node's kind of number for what restic leaves out of a directory."""
    status = path.lstat()
    node = {name: value for name, value in _restic_node(path).items() if value not in (0, "")}
    return node | {"device_id": status.st_dev, "links": status.st_nlink, "content": None}


def _nothing(_: Path) -> Json:
    return {}


def _snapshot(folder: Path, tree: str, ns: int) -> Json:
    return {"time": rustic_time(ns), "tree": tree, "paths": [str(folder)], "hostname": HOST, "username": ""}


def _split(blobs: list[tuple[BlobType, bytes]]) -> tuple[list[tuple[BlobType, bytes]], ...]:
    return ([b for b in blobs if b[0] is BlobType.DATA], [b for b in blobs if b[0] is BlobType.TREE])


def rustic(repository: Repository, folder: Path, ns: int) -> None:
    """rustic: nothing of what is zero; packs with size and time, those to delete; a config with its own options."""
    trees = Trees(node=_rustic_node, bare=_nothing)
    writer = Writer(repository, length={"uncompressed_length": None})  # so does its prune
    root = trees.of(folder)
    for blobs in _split(trees.blobs):
        writer.pack(*blobs, time=rustic_time(ns), size=None)
    writer.index(packs_to_delete=[{"id": "ab" * 32, "blobs": [], "time": rustic_time(ns)}])
    writer.config(is_hot=None, compression=3, treepack_size=4_000_000, extra_verify=True, chunker="rabin")
    writer.snapshot(
        _snapshot(folder, root, ns)
        | {
            "program_version": "rustic v0.11",
            "label": "mine",
            "parents": [],
            "tags": [],
            "delete": "Never",
            "description": "of a test",
            "summary": {
                "files_new": 3,
                "total_dirs_processed": 2,
                "command": "rustic backup",
                "backup_start": rustic_time(ns),
                "backup_end": rustic_time(ns),
                "backup_duration": 0.25,
                "total_duration": 0.5,
            },
        }
    )


def nulls(repository: Repository, folder: Path, ns: int) -> None:
    """Whatever Go passes over: null for each member, and members that nobody knows."""

    def node(path: Path) -> Json:
        empty: Json = dict.fromkeys(("user", "group", "device_id", "linktarget_raw", "extended_attributes"))
        return empty | _restic_node(path) | {"uid": None, "gid": None, "x_of_tomorrow": {"a": [1, None]}}

    def bare(_: Path) -> Json:
        return dict.fromkeys(("mode", "mtime", "atime", "ctime", "uid", "gid", "inode", "size", "content"))

    trees, writer = Trees(node=node, bare=bare), Writer(repository)
    root = trees.of(folder)
    for blobs in _split(trees.blobs):
        writer.pack(*blobs)
    writer.index(supersedes=None)
    absent: Json = dict.fromkeys(("parent", "excludes", "tags", "original", "uid", "gid"))
    summary: Json = {"files_new": None, "backup_start": None}
    writer.snapshot(_snapshot(folder, root, ns) | absent | {"program_version": None, "summary": summary})


def mixed_packs(repository: Repository, folder: Path, ns: int) -> None:
    """restic before 0.4: data and trees side by side in a pack."""
    trees, writer = Trees(node=_restic_node, bare=_restic_node), Writer(repository)
    root = trees.of(folder)
    half = len(trees.blobs) // 2
    writer.pack(*trees.blobs[half:], *trees.blobs[:half])
    writer.index()
    writer.snapshot(_snapshot(folder, root, ns))


def duplicates(repository: Repository, folder: Path, ns: int) -> None:
    """Two programs at once: each blob in two packs, each pack in two index files, one index superseded, still there."""
    trees, writer = Trees(node=_restic_node, bare=_restic_node), Writer(repository)
    root = trees.of(folder)
    for blobs in 2 * _split(trees.blobs):
        writer.pack(*blobs)
    writer.index(supersedes=[writer.index()])
    writer.snapshot(_snapshot(folder, root, ns))
    writer.snapshot(_snapshot(folder, root, ns) | {"username": "another, at the same time"})


def leftovers(repository: Repository, folder: Path, ns: int) -> None:
    """A backup that was killed: packs in no index, an empty index, files whose names are no ids."""
    trees, writer = Trees(node=_restic_node, bare=_restic_node), Writer(repository)
    root = trees.of(folder)
    writer.pack((BlobType.DATA, b"of nobody"), listed=False)
    writer.index()
    for blobs in _split(trees.blobs):
        writer.pack(*blobs)
    writer.index()
    writer.snapshot(_snapshot(folder, root, ns))


RECIPES: Final = {recipe.__name__: recipe for recipe in (rustic, nulls, mixed_packs, duplicates, leftovers)}

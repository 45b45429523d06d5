"""Writes repositories as somebody would who has the password and means harm: raw trees, snapshots, keys, packs."""

import time
from dataclasses import dataclass, field

import msgspec

from holdfast.format.index import BlobType
from holdfast.format.pack import Compression
from holdfast.format.sealed import encode_file
from holdfast.format.snapshot import Snapshot, encode_snapshot
from holdfast.format.times import format_time
from holdfast.ids import BlobId, sha256, to_hex
from holdfast.repository.packs.packer import Packer
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import save_sealed

TIME = "2026-01-01T00:00:00Z"
SETUID_ROOT = 1 << 23 | 0o755
EMPTY_TREE = b'{"nodes":[]}\n'


def node(name: str, kind: str = "file", **fields: object) -> dict[str, object]:
    """The JSON of a node; `name` stands as it is, quoted or not."""
    times = {"mtime": TIME, "atime": TIME, "ctime": TIME}
    content: object = [] if kind == "file" else None
    return {
        "name": name,
        "type": kind,
        "mode": 0o644,
        "uid": 0,
        "gid": 0,
        **times,
        "content": content,
        **fields,
    }


@dataclass(slots=True)
class Forger:
    """Collects blobs, then writes them with their index, and a snapshot on top."""

    session: RepositorySession
    _blobs: dict[BlobType, list[bytes]] = field(
        default_factory=lambda: {BlobType.DATA: [], BlobType.TREE: []}
    )

    def data(self, content: bytes) -> str:
        """A data blob; its id."""
        return self._blob(BlobType.DATA, content)

    def tree(self, *nodes: dict[str, object]) -> str:
        """A tree of these nodes, whatever they are and in whatever order; its id."""
        return self._blob(BlobType.TREE, msgspec.json.encode({"nodes": nodes}) + b"\n")

    def raw_tree(self, content: bytes) -> str:
        """A tree blob of any bytes; its id."""
        return self._blob(BlobType.TREE, content)

    def _blob(self, kind: BlobType, content: bytes) -> str:
        self._blobs[kind].append(content)
        return to_hex(sha256(content))

    def snapshot(self, tree: str) -> None:
        """Write everything, and a snapshot of `tree`."""
        repository = self.session.repository
        with self.session.hold() as held:
            for kind, contents in self._blobs.items():
                with Packer(repository, kind, compression=Compression.AUTO) as packer:
                    for content in dict.fromkeys(contents):
                        packer.add(BlobId(sha256(content)), content)
                    packer.flush()
                    held.write_index(packer.take_stored())
        snapshot = Snapshot(time=format_time(time.time_ns()), tree=tree, paths=["/"])
        save_sealed(
            repository,
            encode_file(repository.sealer(), encode_snapshot(snapshot), version=repository.version),
        )

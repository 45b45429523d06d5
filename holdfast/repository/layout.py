"""Names follow restic's default layout (its design.rst, "Repository Layout"; internal/backend/layout)."""

from collections.abc import Iterator
from typing import Final

from holdfast.ids import PackId, from_hex, is_hex_id, to_hex
from holdfast.storage.contract import Storage

CONFIG: Final = "config"
DATA: Final = "data"
INDEX: Final = "index"
KEYS: Final = "keys"
LOCKS: Final = "locks"
SNAPSHOTS: Final = "snapshots"
RUNS: Final = "holdfast/runs"
"""Holdfast's own folder: restic ignores what it does not know at the top."""


def pack_name(pack: PackId) -> str:
    """`data/<first two digits>/<id>`."""
    digits = to_hex(pack)
    return f"{DATA}/{digits[:2]}/{digits}"


def file_name(folder: str, file_id: bytes) -> str:
    """`<folder>/<id>`, for everything but packs."""
    return f"{folder}/{to_hex(file_id)}"


def folders() -> list[str]:
    """All folders of an empty repository, as restic creates them."""
    return [INDEX, KEYS, LOCKS, SNAPSHOTS, DATA, *(f"{DATA}/{number:02x}" for number in range(256))]


def list_ids(storage: Storage, folder: str) -> Iterator[tuple[bytes, int]]:
    """(id, size in bytes) of each file in a folder; files whose names are no ids are ignored, as restic does."""
    for stored in storage.list(folder):
        name = stored.name.rpartition("/")[2]
        if is_hex_id(name):
            yield from_hex(name), stored.size_bytes

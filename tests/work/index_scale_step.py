"""Steps over a repository whose index is huge, each in a process of its own; prints what it measured as JSON.

python -m tests.work.index_scale_step write|load REPOSITORY BLOBS
"""

import gc
import json
import os
import sys
import time
from pathlib import Path

from holdfast.format.index import BlobEntry, BlobType, IndexPack
from holdfast.ids import BlobId, PackId
from holdfast.repository.index_files import write_index
from tests.support.engine import new_session, open_session

BLOBS_PER_PACK = 1_000
PACKS_PER_FILE = 50
BLOB_BYTES = 800


def write(repository: Path, blobs: int) -> dict[str, float]:
    """A repository with index files for so many data blobs, and no packs."""
    with new_session(repository) as session:
        for _ in range(blobs // (BLOBS_PER_PACK * PACKS_PER_FILE)):
            write_index(session.repository, [_pack() for _ in range(PACKS_PER_FILE)])
    return {}


def load(repository: Path, blobs: int) -> dict[str, float]:
    """Open it as a backup does; what the index takes of memory for each blob, and what finding one takes of time."""
    with open_session(repository) as session:
        gc.collect()
        before = _resident_bytes()
        begun = time.perf_counter()
        with session.hold() as held:
            loaded = time.perf_counter()
            gc.collect()
            grown = _resident_bytes() - before
            assert len(held.index) == blobs
            strangers = [BlobId(os.urandom(32)) for _ in range(100_000)]
            asked = time.perf_counter()
            assert not any(held.index.has(blob, BlobType.DATA) for blob in strangers)
            answered = time.perf_counter()
    return {
        "bytes_per_blob": grown / blobs,
        "load_s": loaded - begun,
        "microseconds_per_miss": (answered - asked) / len(strangers) * 1e6,
    }


def _pack() -> IndexPack:
    ids = os.urandom(32 * BLOBS_PER_PACK)
    entries = [
        BlobEntry(
            id=BlobId(ids[32 * at : 32 * at + 32]),
            type=BlobType.DATA,
            offset=at * BLOB_BYTES,
            length=BLOB_BYTES,
            uncompressed_length=2 * BLOB_BYTES,
        )
        for at in range(BLOBS_PER_PACK)
    ]
    return IndexPack(id=PackId(os.urandom(32)), blobs=tuple(entries))


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    step = {"write": write, "load": load}[sys.argv[1]]
    print(json.dumps(step(Path(sys.argv[2]), int(sys.argv[3]))))  # noqa: T201 -- its answer

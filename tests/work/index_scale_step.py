"""Steps over a repository whose index is huge, each in a process of its own; prints what it measured as JSON.

python -m tests.work.index_scale_step write|load|rewrite REPOSITORY BLOBS
"""

import gc
import json
import os
import resource
import sys
import time
from pathlib import Path

from holdfast.format.index import BlobType, PackColumns
from holdfast.ids import BlobId, IndexId, PackId
from holdfast.repository.index.files import read_index, write_index
from holdfast.repository.index.rewrite import remove_packs
from holdfast.repository.layout import INDEX, list_ids
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


def rewrite(repository: Path, blobs: int) -> dict[str, float]:
    """Take the first pack of every index file out of the index; the most memory that it takes beyond the start."""
    with open_session(repository) as session:
        names = list(list_ids(session.repository.storage, INDEX))
        firsts = [read_index(session.repository, IndexId(raw))[0].id for raw, _ in names]
        gc.collect()
        before = _peak_bytes()
        remove_packs(session.repository, firsts, lambda: None)
        grown = _peak_bytes() - before
        left = sum(
            len(pack.lengths)
            for raw, _ in list_ids(session.repository.storage, INDEX)
            for pack in read_index(session.repository, IndexId(raw))
        )
    assert left == blobs - len(names) * BLOBS_PER_PACK
    return {"peak_bytes": grown}


def _pack() -> PackColumns:
    return PackColumns(
        id=PackId(os.urandom(32)),
        ids=os.urandom(32 * BLOBS_PER_PACK),
        types=[BlobType.DATA] * BLOBS_PER_PACK,
        offsets=range(0, BLOB_BYTES * BLOBS_PER_PACK, BLOB_BYTES),
        lengths=[BLOB_BYTES] * BLOBS_PER_PACK,
        uncompressed_lengths=[2 * BLOB_BYTES] * BLOBS_PER_PACK,
    )


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    step = {"write": write, "load": load, "rewrite": rewrite}[sys.argv[1]]
    print(json.dumps(step(Path(sys.argv[2]), int(sys.argv[3]))))  # noqa: T201 -- its answer

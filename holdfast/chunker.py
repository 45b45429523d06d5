"""Content-defined chunking: pyfastcdc, seeded from the repository's secret so that chunk sizes betray nothing.

Any boundaries are valid in the repository format. The limits are those of restic's own chunker, so a file below
MIN_CHUNK_BYTES is one blob for both and deduplicates against restic's backups.
"""

from typing import Final

from pyfastcdc import FastCDC

MIN_CHUNK_BYTES: Final = 512 * 1024
AVERAGE_CHUNK_BYTES: Final = 1024 * 1024
MAX_CHUNK_BYTES: Final = 8 * 1024 * 1024


def seed_from(secret: bytes) -> int:
    """A positive 63-bit seed from a secret (pyfastcdc takes seeds above zero)."""
    return (int.from_bytes(secret[:8], "big") >> 1) | 1


class Chunker:
    """Finds chunk boundaries. The same bytes give the same chunks, however they arrive."""

    def __init__(self, seed: int) -> None:
        self._cdc = FastCDC(
            AVERAGE_CHUNK_BYTES, min_size=MIN_CHUNK_BYTES, max_size=MAX_CHUNK_BYTES, seed=seed
        )

    def cuts(self, data: memoryview, *, final: bool) -> list[int]:
        """Lengths of the chunks from the start of `data`, which must begin at a chunk boundary.

        Unless `final`, the last chunk is left out, because more bytes could still change where it ends. Every other
        cut was found by its hash before the end of the data came in sight, so it stays for any continuation.
        """
        if not len(data):
            return []
        lengths = [chunk.length for chunk in self._cdc.cut_buf(data)]
        return lengths if final else lengths[:-1]

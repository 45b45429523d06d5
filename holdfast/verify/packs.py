"""Packs read back: the file's hash is its name, its header is authentic, every blob decrypts to its own hash."""

from dataclasses import dataclass

from holdfast.errors import IntegrityError
from holdfast.format.pack import parse_pack
from holdfast.ids import PackId, sha256, to_hex
from holdfast.repository.layout import pack_name
from holdfast.repository.repository import Repository
from holdfast.verify.report import Problem, ProblemKind


@dataclass(frozen=True, slots=True, kw_only=True)
class PackChecked:
    """One pack was read: its bytes, how many blobs it holds, what is wrong with it (or None)."""

    size_bytes: int
    blobs: int
    problem: Problem | None


def check_pack(repository: Repository, pack: PackId, size_bytes: int) -> PackChecked:
    """Read a pack of `size_bytes` and check everything in it.

    Raises:
        StorageUnavailableError and the like: it cannot be read just now. Damage is returned, not raised.
    """
    try:
        data = memoryview(repository.storage.get(pack_name(pack), limit_bytes=size_bytes))
        if sha256(data) != pack:
            raise IntegrityError("the pack's hash is not its name")
        blobs = parse_pack(repository.sealer(), data)
        decoder = repository.decoder()
        for blob in blobs:
            decoder.decode(data[blob.offset : blob.offset + blob.length], blob)
    except IntegrityError:
        problem = Problem(kind=ProblemKind.PACK_DAMAGED, what=to_hex(pack))
        return PackChecked(size_bytes=size_bytes, blobs=0, problem=problem)
    return PackChecked(size_bytes=size_bytes, blobs=len(blobs), problem=None)

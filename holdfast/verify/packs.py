"""Packs read back: every byte authentic, every blob what its id says, every entry where the index has it.

A pack consists of sealed blobs, a sealed header, and the header's length. Blobs and header carry a MAC each, the length
must lead to the header, and together they must make up the size that the index gives: so no byte can change unnoticed.
That the pack is the one of this name is known from its header, which must list the blobs that the index has in it. Of a
blob that lies in several packs the index may name another one: only then the pack's own hash has to prove its name. It
says nothing more about the content, and costs a quarter of the time.

Speed: the pack is read into memory that is used again, by a thread of its own while the one before is checked, and
opened where it lies.
"""

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from holdfast.buffers import BUFFERS
from holdfast.errors import CorruptFileError, IntegrityError, StorageUnavailableError, StoredFileMissingError
from holdfast.format.pack import BlobDecoder, parse_pack
from holdfast.ids import PackId, sha256, to_hex
from holdfast.repository.index.map import IndexMap, PackInfo
from holdfast.repository.layout import pack_name
from holdfast.repository.repository import Repository
from holdfast.repository.second_look import worth_a_second_look
from holdfast.verify.report import Problem, ProblemKind

_BUFFERS: Final = 2
_BUFFER_STEP_BYTES: Final = 4 << 20
"""Sizes of buffers are multiples of it: packs that differ a little can use the same ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackChecked:
    """One pack was read: its size, how many blobs it holds, what is wrong with it (or None)."""

    pack: PackId
    size_bytes: int
    blobs: int
    problem: Problem | None


def check_packs(
    repository: Repository, index: IndexMap, packs: Sequence[PackInfo]
) -> Generator[PackChecked, None, None]:
    """Check packs one after the other, reading the next one ahead. Close the iterator to stop early.

    Raises:
        StorageUnavailableError and the like: they cannot be read just now. Damage is returned, not raised.
    """
    if not packs:
        return
    decoder = BlobDecoder(repository.key)
    largest = -(-max(pack.size_bytes for pack in packs) // _BUFFER_STEP_BYTES) * _BUFFER_STEP_BYTES
    buffers = [BUFFERS.take(largest) for _ in range(min(_BUFFERS, len(packs)))]
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        ahead: list[Future[ProblemKind | None]] = []
        try:
            for number, pack in enumerate(packs[:_BUFFERS]):
                ahead.append(pool.submit(_read, repository, pack, buffers[number]))
            for number, pack in enumerate(packs):
                buffer = buffers[number % len(buffers)]
                found = ahead.pop(0).result()
                yield _checked(repository, index, decoder, pack, buffer[: pack.size_bytes], found)
                if number + _BUFFERS < len(packs):
                    ahead.append(pool.submit(_read, repository, packs[number + _BUFFERS], buffer))
        finally:
            for future in ahead:
                future.cancel()
    for buffer in buffers:
        BUFFERS.give_back(buffer)


def _checked(
    repository: Repository,
    index: IndexMap,
    decoder: BlobDecoder,
    pack: PackInfo,
    data: memoryview,
    found: ProblemKind | None,
) -> PackChecked:
    blobs = 0
    if found is None:
        try:
            blobs = _check_content(repository, index, decoder, pack, data)
        except IntegrityError:
            found, blobs = _second_look(repository, index, decoder, pack, data)
    problem = None if found is None else Problem(kind=found, what=to_hex(pack.id))
    return PackChecked(pack=pack.id, size_bytes=pack.size_bytes, blobs=blobs, problem=problem)


def _second_look(
    repository: Repository, index: IndexMap, decoder: BlobDecoder, pack: PackInfo, data: memoryview
) -> tuple[ProblemKind | None, int]:
    """What is wrong with a pack that came damaged, and how many blobs it holds if it came whole the second time."""
    if not worth_a_second_look(repository.storage):
        return ProblemKind.PACK_DAMAGED, 0
    found = _read(repository, pack, data)
    if found is not None:
        return found, 0
    try:
        return None, _check_content(repository, index, decoder, pack, data)
    except IntegrityError:
        return ProblemKind.PACK_DAMAGED, 0


def _check_content(
    repository: Repository, index: IndexMap, decoder: BlobDecoder, pack: PackInfo, data: memoryview
) -> int:
    blobs = parse_pack(repository.sealer(), data)
    named = {index.pack_of(blob, inside=pack.id) for blob in blobs}
    if len(blobs) != pack.blob_count or None in named or (named != {pack.id} and sha256(data) != pack.id):
        raise CorruptFileError("the pack holds other blobs than the index says")
    if decoder.first_unsound(data, blobs) is not None:
        raise CorruptFileError("a blob of the pack is not what its id says")
    return len(blobs)


def _read(repository: Repository, pack: PackInfo, buffer: memoryview) -> ProblemKind | None:
    """Read a pack to the beginning of a buffer that is large enough; what is wrong with it, seen from outside."""
    try:
        size = repository.storage.get_into(pack_name(pack.id), buffer)
    except StoredFileMissingError:
        return ProblemKind.PACK_MISSING
    except CorruptFileError:
        return ProblemKind.PACK_SIZE
    except StorageUnavailableError as error:
        if not repository.is_bad_sector(error):
            raise
        return ProblemKind.PACK_DAMAGED
    return None if size == pack.size_bytes else ProblemKind.PACK_SIZE

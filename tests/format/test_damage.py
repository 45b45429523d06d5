"""Damage to any stored file is found by a full verification: each kind of file, each kind of byte, each kind of damage.

Kinds of bytes of a pack: nonce, ciphertext and tag of each blob and of the header, and the header's length.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from holdfast.crypto.sealing import IV_BYTES, OVERHEAD_BYTES, TAG_BYTES
from holdfast.errors import HoldfastError
from holdfast.format.index import HEADER_LENGTH_BYTES, BlobType
from holdfast.format.pack import parse_pack
from holdfast.ids import SnapshotId
from holdfast.terms import VerifyLevel
from holdfast.verify.report import VerifyReport
from holdfast.verify.snapshot import verify_snapshot
from tests.support.engine import EngineRun, new_session, open_session

FILES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A small repository. places: file and offset of each kind of byte. owners: whose each data blob is."""

    repository: Path
    snapshot: SnapshotId
    places: list[tuple[Path, int]]
    owners: dict[tuple[Path, int], bytes]


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("damage")
    source, repository = folder / "source", folder / "repository"
    random = Random(11)
    paths: dict[bytes, bytes] = {}
    for number in range(FILES):
        file = source / f"directory-{number % 3}" / f"file-{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        content = random.randbytes(500 + number)
        file.write_bytes(content)
        paths[content] = bytes(file)
    with new_session(repository) as session, session.hold() as held:
        snapshot = SnapshotId(EngineRun.of(session, source).run().snapshot)
        places: list[tuple[Path, int]] = []
        owners: dict[tuple[Path, int], bytes] = {}
        for pack in sorted((repository / "data").rglob("?" * 64)):
            stored = pack.read_bytes()
            blobs = parse_pack(session.repository.sealer(), stored)
            header = sum(blob.length for blob in blobs)
            stretches = [(blobs[0].offset, blobs[0].length), (blobs[-1].offset, blobs[-1].length)]
            stretches.append((header, len(stored) - header - HEADER_LENGTH_BYTES))
            places += [(pack, at) for stretch in stretches for at in _kinds_of_bytes(*stretch)]
            places += [(pack, len(stored) - 1 - byte) for byte in range(HEADER_LENGTH_BYTES)]
            for blob in blobs:
                if blob.type is BlobType.DATA:
                    owners[pack, blob.offset] = paths[held.loader.load(blob.id, BlobType.DATA)]
    sealed = [repository / "config", *(repository / "index").iterdir(), *(repository / "snapshots").iterdir()]
    for file in sealed:
        places += [(file, at) for at in _kinds_of_bytes(0, file.stat().st_size)]
    (key,) = (repository / "keys").iterdir()
    places += [(key, random.randrange(key.stat().st_size)) for _ in range(8)]
    return Subject(
        repository=repository,
        snapshot=snapshot,
        places=places,
        owners=owners,
    )


def test_every_flipped_bit_is_found(subject: Subject) -> None:
    random = Random(12)
    for file, offset in subject.places:
        with _damaged(file) as stored:
            stored[offset] ^= 1 << random.randrange(8)
            file.write_bytes(stored)
            assert _is_found(subject), f"{file.relative_to(subject.repository)} at {offset}"


@pytest.mark.parametrize("damage", ["cut", "emptied", "deleted", "longer"])
def test_every_damaged_file_is_found(subject: Subject, damage: str) -> None:
    for file in sorted({file for file, _ in subject.places}):
        with _damaged(file) as stored:
            if damage == "deleted":
                file.unlink()
            else:
                whole = bytes(stored)
                file.write_bytes({"cut": whole[:-1], "emptied": b"", "longer": whole + b"\0"}[damage])
            assert _is_found(subject), f"{file.relative_to(subject.repository)} {damage}"


def test_two_swapped_packs_are_found(subject: Subject) -> None:
    one, other = sorted({file for file, _ in subject.places if file.parent.parent.name == "data"})[:2]
    with _damaged(one) as first, _damaged(other) as second:
        one.write_bytes(second)
        other.write_bytes(first)
        assert _is_found(subject)


def test_a_bad_blob_costs_the_path_that_needs_it_and_no_other(subject: Subject) -> None:
    assert len(subject.owners) == FILES
    for (pack, offset), path in subject.owners.items():
        with _damaged(pack) as stored:
            stored[offset + IV_BYTES] ^= 1
            pack.write_bytes(stored)
            assert _named(_verify(subject)) == {path}


def test_a_lost_pack_costs_all_paths_in_it(subject: Subject) -> None:
    for lost in {pack for pack, _ in subject.owners}:
        with _damaged(lost):
            lost.unlink()
            report = _verify(subject)
        assert _named(report) == {path for (pack, _), path in subject.owners.items() if pack == lost}
        assert lost.name in {problem.what for problem in report.problems}


def test_a_lost_index_names_the_root(subject: Subject) -> None:
    files = list((subject.repository / "index").iterdir())
    kept = {file: file.read_bytes() for file in files}
    try:
        for file in files:
            file.unlink()
        report = _verify(subject)
    finally:
        for file, stored in kept.items():
            file.write_bytes(stored)
    assert [problem.path for problem in report.problems] == [b"/"]


def test_a_whole_repository_has_no_problem(subject: Subject) -> None:
    assert _verify(subject).problems == []


class _damaged:  # noqa: N801 -- reads like a function
    """The bytes of a file, to be written back damaged; afterwards it is whole again."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._whole = file.read_bytes()

    def __enter__(self) -> bytearray:
        return bytearray(self._whole)

    def __exit__(self, *_: object) -> None:
        self._file.write_bytes(self._whole)


def _verify(subject: Subject) -> VerifyReport:
    with open_session(subject.repository) as session:
        return asyncio.run(verify_snapshot(session, subject.snapshot, VerifyLevel.FULL))


def _named(report: VerifyReport) -> set[bytes]:
    return {problem.path for problem in report.problems if problem.path}


def _is_found(subject: Subject) -> bool:
    """A typed error, or a report of problems; anything else that is raised fails the test."""
    try:
        return not _verify(subject).ok
    except HoldfastError as error:
        return bool(error.message)


def _kinds_of_bytes(offset: int, length: int) -> Iterator[int]:
    """Of a sealed message: a byte of its nonce, of its ciphertext, and of its tag."""
    yield offset + IV_BYTES // 2
    if length > OVERHEAD_BYTES:
        yield offset + IV_BYTES + (length - OVERHEAD_BYTES) // 2
    yield offset + length - TAG_BYTES // 2

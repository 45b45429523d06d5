"""A reader is stopped before one of its reads, while somebody removes its lock, forgets and prunes with stock restic.

What it has looked up by then is not there any more. That is no damage: what the repository still has was moved, and is
read again where it is now. What was forgotten is not to be had, and nothing may say that it was.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from holdfast.errors import PermanentError, TemporaryError
from holdfast.ids import SnapshotId
from holdfast.repository.damage import DamageMarks
from holdfast.repository.layout import DATA, INDEX
from holdfast.repository.session import RepositorySession
from holdfast.restore.finish.finish import finish
from holdfast.restore.opening import open_restore
from holdfast.restore.plan.select import select_page
from holdfast.restore.request import RestoreOptions
from holdfast.restore.run import Finished, RestoreRun, VerifyReport
from holdfast.restore.shard.shard import restore_shard
from holdfast.restore.verify import verify_restored
from holdfast.runs.workspace import Workspace
from holdfast.storage.contract import StoredFile
from holdfast.storage.layers.layer import Layer
from holdfast.storage.local import LocalStorage
from holdfast.terms import VerifyLevel
from holdfast.verify.documents import Report
from holdfast.verify.snapshot import verify_snapshot
from tests.locks.pruned import forget_and_prune
from tests.support.comparison import plant, restic, same
from tests.support.engine import (
    PASSWORD,
    EngineRun,
    new_session,
    nothing,
    small_session,
)
from tests.support.verification import verify

ResultT = TypeVar("ResultT")

_ATTEMPTS = 6
_RUN = "reads"
_FEW = (8, 21)


class Stopped(Layer):
    """Before one read of what a prune touches, `meanwhile` happens."""

    def __init__(self, path: Path, meanwhile: Callable[[], None], at: int) -> None:
        super().__init__(LocalStorage(path))
        self.reads = 0
        self.stopped = False
        self._meanwhile = meanwhile
        self._at = at

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        self._read(name)
        return super().get(name, limit_bytes=limit_bytes)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        self._read(name)
        return super().get_range(name, offset, length)

    def get_into(self, name: str, buffer: memoryview) -> int:
        self._read(name)
        return super().get_into(name, buffer)

    def get_range_into(self, name: str, offset: int, buffer: memoryview) -> None:
        self._read(name)
        super().get_range_into(name, offset, buffer)

    def list(self, folder: str) -> Iterator[StoredFile]:
        self._read(f"{folder}/")
        return super().list(folder)

    def _read(self, name: str) -> None:
        if not name.startswith((f"{DATA}/", f"{INDEX}/")):
            return
        number, self.reads = self.reads, self.reads + 1
        if number == self._at:
            self.stopped = True
            self._meanwhile()


class Place:
    """Two snapshots that share packs. The source is as in the second one, which has half of the first one's files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        self.source.mkdir()
        plant(self.source, files=30, large_bytes=600_000)
        self.repository = folder / "repository"
        with new_session(self.repository, small=True) as session:
            self.first = SnapshotId(EngineRun.of(session, self.source, run_id="first").run().snapshot)
            for path in sorted(self.source.rglob("canary-file-*"))[::2]:
                path.unlink()
            self.second = SnapshotId(EngineRun.of(session, self.source, run_id="second").run().snapshot)

    def stopped(self, at: int, *forgotten: SnapshotId) -> tuple[RepositorySession, Stopped]:
        """A session whose read of that number is preceded by a prune."""
        storage = Stopped(
            self.repository, lambda: forget_and_prune(self.repository, [one.hex() for one in forgotten]), at
        )
        session = small_session(storage)
        return session, storage

    def assert_untouched(self, session: RepositorySession) -> None:
        """Nothing is marked, and stock restic finds nothing wrong."""
        assert DamageMarks(session.repository).load() == {}
        session.close()
        assert "no errors were found" in restic(self.repository, PASSWORD, "check", "--read-data")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def again(step: Callable[[], ResultT]) -> ResultT:
    """As a workflow does: what fails for a time is done again."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(TemporaryError):
            return step()
    return step()


def verified(session: RepositorySession, *snapshots: SnapshotId) -> Report:
    """A verification of the repository, or of snapshots, that reads everything."""
    return verify(session, _RUN, snapshots=snapshots, attempt=again)


def restored(session: RepositorySession, options: RestoreOptions) -> tuple[Finished, VerifyReport]:
    """A restore that is read back."""

    def held(step: Callable[[RestoreRun], ResultT]) -> ResultT:
        def attempt() -> ResultT:
            with session.hold() as held:
                return step(RestoreRun(held=held, run_id=_RUN, options=options))

        return again(attempt)

    held(open_restore)
    pages = [held(lambda run: select_page(run, 0))]
    while not pages[-1].last:
        pages.append(held(lambda run: select_page(run, len(pages))))
    shards = sum(page.shards for page in pages)
    for shard in range(shards):
        held(lambda run, shard=shard: asyncio.run(restore_shard(run, shard, nothing)))  # type: ignore[misc]
    finished = held(lambda run: finish(run, len(pages), shards, nothing))
    return finished, held(lambda run: asyncio.run(verify_restored(run, len(pages), nothing)))


def each(folder: Path, one: Callable[[Place, int], Stopped]) -> None:
    """At every read, until one number is never come to."""
    for number in range(1_000):
        under = folder / str(number)
        under.mkdir()
        if not one(Place(under), number).stopped:
            break
    assert number > 10


def verification(place: Place, at: int) -> Stopped:
    """Of everything, while the first snapshot goes."""
    session, storage = place.stopped(at, place.first)
    report = verified(session)
    assert (report.problem_count, report.damaged_packs, report.mended_packs) == (0, 0, 0)
    place.assert_untouched(session)
    return storage


def verification_of_one(place: Place, at: int) -> Stopped:
    """As at the end of a backup: of the second snapshot alone, while the first one goes."""
    session, storage = place.stopped(at, place.first)
    workspace = Workspace(session.repository, _RUN)
    report = again(
        lambda: asyncio.run(verify_snapshot(session, place.second, VerifyLevel.FULL, workspace=workspace))
    )
    assert report.problems == []
    place.assert_untouched(session)
    return storage


def restore(place: Place, at: int) -> Stopped:
    """Of the second snapshot, while the first one goes."""
    session, storage = place.stopped(at, place.first)
    target = place.folder / "target"
    options = RestoreOptions(snapshot=f"latest:{place.source}", target=bytes(target))
    finished, report = restored(session, options)
    assert not finished.partial
    assert report.ok
    assert same(place.source, target)
    place.assert_untouched(session)
    return storage


def restore_of_what_goes(place: Place, at: int) -> Stopped:
    """Of the very snapshot that goes: it fails, or says which paths did not come; what came is right."""
    session, storage = place.stopped(at, place.first, place.second)
    target = place.folder / "target"
    options = RestoreOptions(snapshot=f"{place.second.hex()}:{place.source}", target=bytes(target))
    expected = {path.relative_to(place.source): path.read_bytes() for path in files_of(place.source)}
    whole = False
    try:
        finished, report = restored(session, options)
        whole = not finished.partial and report.ok
    except PermanentError:
        pass
    came = {path.relative_to(target): path.read_bytes() for path in files_of(target)}
    assert came.items() <= expected.items()
    assert not whole or came == expected
    place.assert_untouched(session)
    return storage


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


@pytest.mark.parametrize("at", _FEW)
@pytest.mark.parametrize("one", [verification, verification_of_one, restore])
def test_what_was_moved_is_no_damage(place: Place, one: Callable[[Place, int], Stopped], at: int) -> None:
    one(place, at)


@pytest.mark.parametrize("at", _FEW)
def test_what_was_forgotten_is_never_said_to_be_restored(place: Place, at: int) -> None:
    restore_of_what_goes(place, at)


@pytest.mark.faults
@pytest.mark.parametrize("one", [verification, verification_of_one, restore, restore_of_what_goes])
def test_before_each_read(tmp_path: Path, one: Callable[[Place, int], Stopped]) -> None:
    each(tmp_path, one)

"""Work, counted and not timed: what makes a backup fast must not get lost unnoticed.

Source files are opened and read once; storage calls and activities do not grow with the number of files; an index file
is read once by each process; a small file costs little memory while it is under way.
"""

import asyncio
import tracemalloc
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from holdfast.backup.report import written_packs
from holdfast.contracts.names import STORE_SHARD
from holdfast.ids import PackId, SnapshotId, to_hex
from holdfast.repository.layout import pack_name
from holdfast.repository.session import RepositorySession
from holdfast.terms import VerifyLevel
from holdfast.verify.report import ProblemKind, VerifyReport
from holdfast.verify.snapshot import verify_snapshot
from tests.support.counting import FileWork, traced
from tests.support.engine import EngineRun, counted_session, new_session
from tests.support.runs import start_backup
from tests.support.service import Installation, running_worker

MIB = 1 << 20
FEW, MANY = 40, 400
LARGE_BYTES = 20 * MIB
SMALL_BYTES = 300
PEAK_BYTES_PER_FILE = 2_500
"""Of Python's own memory, at the busiest moment of a shard, for each small file in it."""


def test_each_source_file_is_opened_and_read_once(tmp_path: Path) -> None:
    source = _planted(tmp_path, FEW)
    with (source / "large").open("wb") as large:
        for _ in range(LARGE_BYTES // MIB):
            large.write(Random(1).randbytes(MIB))
    work = _traced_backup(tmp_path, source, "first")
    sizes = {str(path): path.stat().st_size for path in source.rglob("*") if path.is_file()}
    assert work.bytes_read == sizes
    assert work.opened == dict.fromkeys(sizes, 1)


def test_an_unchanged_file_is_not_opened(tmp_path: Path) -> None:
    source = _planted(tmp_path, FEW)
    _traced_backup(tmp_path, source, "first")
    (source / "directory-0" / "file-0").write_bytes(b"changed")
    work = _traced_backup(tmp_path, source, "second")
    assert work.opened == {str(source / "directory-0" / "file-0"): 1}


def test_storage_calls_do_not_grow_with_the_files(tmp_path: Path) -> None:
    calls: list[Counter[tuple[str, str]]] = []
    for files in (FEW, MANY):
        folder = tmp_path / str(files)
        source = _planted(folder, files)
        with new_session(folder / "repository"):
            pass
        with counted_session(folder / "repository") as (session, storage):
            EngineRun.of(session, source).run()
        calls.append(storage.calls)
    few, many = calls
    assert few == many
    assert few["put", "data"] == 2  # blobs and trees
    assert (few["put", "index"], few["put", "snapshots"]) == (2, 1)


@pytest.mark.parametrize("listed", [False, True])
def test_what_the_looks_of_a_commit_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, listed: bool
) -> None:
    """Each pack of the snapshot is asked for once; many are listed.

    The lock file is looked for twice, after what others will believe; index files are listed once more than for `hold`.
    """
    if listed:
        monkeypatch.setattr("holdfast.repository.packs.stored._LISTING_ROUNDS", 0)
    source = _planted(tmp_path, FEW)
    (source / "large").write_bytes(Random(1).randbytes(2 * MIB))
    repository = tmp_path / "repository"
    with new_session(repository, small=True):
        pass
    with counted_session(repository, small=True) as (session, storage):
        run = EngineRun.of(session, source)
        run.open()
        pages = run.select()
        for shard in range(sum(page.shards for page in pages)):
            run.store(shard)
        before = storage.calls.copy()
        run.commit(pages)
        calls = storage.calls - before
    packs = sum(path.is_file() for path in (repository / "data").rglob("*"))
    trees = calls["put", "data"]
    assert packs > trees > 0
    assert calls["size", "data"] == (0 if listed else packs)
    assert calls["list", "data"] == (1 if listed else 0)
    assert calls["size", "locks"] == 2
    assert calls["list", "index"] == 2


def test_a_backups_own_verification_asks_about_its_own_packs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by its name, however many there are, and those of earlier runs not at all; one that is gone is missed."""
    monkeypatch.setattr("holdfast.repository.packs.stored._LISTING_ROUNDS", 0)
    source, repository = _planted(tmp_path, FEW), tmp_path / "repository"
    with new_session(repository) as session:
        EngineRun.of(session, source, run_id="first").run()
    (source / "new").write_bytes(Random(2).randbytes(MIB))
    with counted_session(repository) as (session, storage):
        run = EngineRun.of(session, source, run_id="second")
        committed = run.run(close=False)
        own = written_packs(run.backup)
        before = storage.calls.copy()
        report = _own_verification(session, committed.snapshot, own)
        calls = storage.calls - before
        assert (report.problem_count, report.packs) == (0, len(own))
        assert calls["list", "data"] == 0
        assert calls["size", "data"] == len(own) > 1

        for gone in own:  # of trees, which are not readable then, and of content
            name = pack_name(gone)
            content = storage.below.get(name, limit_bytes=storage.below.size(name))
            storage.below.delete(name)
            problems = _own_verification(session, committed.snapshot, own).problems
            assert (ProblemKind.PACK_MISSING, to_hex(gone)) in {
                (found.kind, found.what) for found in problems
            }
            storage.below.put(name, content)


def _own_verification(session: RepositorySession, snapshot: bytes, own: set[PackId]) -> VerifyReport:
    level = VerifyLevel.STRUCTURE
    return asyncio.run(verify_snapshot(session, SnapshotId(snapshot), level, written=own))


def test_a_process_reads_each_index_file_once(tmp_path: Path) -> None:
    source = _planted(tmp_path, FEW)
    repository = tmp_path / "repository"
    with new_session(repository) as session:
        EngineRun.of(session, source, run_id="first").run()
    index_files = {f"index/{path.name}" for path in (repository / "index").iterdir()}
    with counted_session(repository) as (session, storage):
        for run_id in ("second", "third"):
            (source / "directory-0" / "file-0").write_bytes(run_id.encode())
            EngineRun.of(session, source, run_id=run_id).run()
    read = {name: times for (method, name), times in storage.names.items() if method == "get"}
    assert {name: read.get(name) for name in index_files} == dict.fromkeys(index_files, 1)
    assert {name for name in read if name.startswith("index/")} == index_files  # its own it knows


def test_a_shard_lists_the_index_files_once(tmp_path: Path) -> None:
    source = _planted(tmp_path, FEW)
    with new_session(tmp_path / "repository"):
        pass
    with counted_session(tmp_path / "repository") as (session, storage):
        run = EngineRun.of(session, source)
        run.open()
        run.select()
        with session.hold():
            before = storage.calls["list", "index"]
            run.store(0)
            assert storage.calls["list", "index"] == before + 1


def test_activities_do_not_grow_with_the_files(tmp_path: Path, server_address: str) -> None:
    few, many = (_activities(tmp_path / str(files), server_address, files) for files in (FEW, MANY))
    assert few == many
    assert few[STORE_SHARD] == 1


def test_a_small_file_under_way_costs_little_memory(tmp_path: Path) -> None:
    few, many = (_peak_bytes(tmp_path / str(files), files) for files in (MANY, 4 * MANY))
    assert many - few < PEAK_BYTES_PER_FILE * 3 * MANY


def _planted(folder: Path, files: int) -> Path:
    """Small files, eight directories."""
    source = folder / "source"
    random = Random(7)
    for number in range(files):
        directory = source / f"directory-{number % 8}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file-{number}").write_bytes(random.randbytes(SMALL_BYTES))
    return source


def _traced_backup(folder: Path, source: Path, run_id: str) -> FileWork:
    repository = folder / "repository"
    if not repository.exists():
        with new_session(repository):
            pass
    module = "tests.support.engine_process"
    return traced(source, folder / f"strace-{run_id}", module, "backup", repository, source, run_id)


async def _run_backup(installation: Installation) -> Counter[str]:
    client = await Client.connect(installation.address)
    handle = await start_backup(client, installation)
    await handle.result()
    scheduled: Counter[str] = Counter()
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled[event.activity_task_scheduled_event_attributes.activity_type.name] += 1
    return scheduled


def _activities(folder: Path, address: str, files: int) -> Counter[str]:
    """The activities of one backup, by name."""
    installation = Installation(folder=folder, address=address)
    for path in sorted(_planted(folder, files).iterdir()):
        path.rename(installation.source / path.name)
    with running_worker(installation.worker_config(), log=installation.log):
        return asyncio.run(_run_backup(installation))


def _peak_bytes(folder: Path, files: int) -> int:
    """The most memory that Python has at one time while it stores one shard."""
    source = _planted(folder, files)
    with new_session(folder / "repository") as session:
        run = EngineRun.of(session, source)
        run.open()
        (page,) = run.select()
        assert page.shards == 1
        tracemalloc.start()
        try:
            run.store(0)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

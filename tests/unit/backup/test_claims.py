"""Shards under way tell each other what they store; a promise that is not kept is found, and made good."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from holdfast.backup.documents import Page
from holdfast.backup.store.claims import SLOTS, ClaimTable
from holdfast.chunker import Chunker
from holdfast.ids import BlobId, sha256
from holdfast.runs.opening import close_run
from tests.support.comparison import restic
from tests.support.engine import PASSWORD, EngineRun, new_session

FILE_BYTES = 40 << 20
"""Two of them are too much for one shard."""
CONTENT = Random(1).randbytes(FILE_BYTES)


def _blob(number: int) -> BlobId:
    return BlobId(sha256(b"%d" % number))


def test_what_one_shard_claims_the_others_of_its_run_see() -> None:
    table = ClaimTable()
    one, other = table.of_shard("repository", "run", 0), table.of_shard("repository", "run", 1)
    assert not one.is_claimed_elsewhere(_blob(1))
    assert other.is_claimed_elsewhere(_blob(1))
    assert not one.is_claimed_elsewhere(_blob(1)), "its own claims are nothing to rely on"
    assert not other.is_claimed_elsewhere(_blob(2))
    for stranger in (table.of_shard("repository", "run 2", 2), table.of_shard("repository 2", "run", 2)):
        assert not stranger.is_claimed_elsewhere(_blob(2))


def test_a_slot_belongs_to_its_last_claimant() -> None:
    table = ClaimTable()
    one, other = table.of_shard("repository", "run", 0), table.of_shard("repository", "run", 1)
    first = BlobId(b"a" * 24 + (5).to_bytes(8, "little"))
    second = BlobId(b"b" * 24 + (5 + SLOTS).to_bytes(8, "little"))
    assert not one.is_claimed_elsewhere(first)
    assert not one.is_claimed_elsewhere(second)
    assert not other.is_claimed_elsewhere(first), "it was pushed out, which costs space and nothing else"


def test_another_process_sees_them_through_an_inherited_descriptor() -> None:
    descriptor = ClaimTable.create_file()
    table = ClaimTable(descriptor)
    assert not table.of_shard("repository", "run", 0).is_claimed_elsewhere(_blob(1))
    program = (
        "import sys; from holdfast.backup.store.claims import ClaimTable; from holdfast.ids import BlobId, sha256;"
        "claims = ClaimTable(int(sys.argv[1])).of_shard('repository', 'run', 1);"
        "print([claims.is_claimed_elsewhere(BlobId(sha256(b'%d' % n))) for n in (1, 2)])"
    )
    command = [sys.executable, "-c", program, str(descriptor)]
    answer = subprocess.run(command, check=True, capture_output=True, pass_fds=(descriptor,), text=True)
    assert answer.stdout.strip() == "[True, False]"
    assert table.of_shard("repository", "run", 2).is_claimed_elsewhere(_blob(2))
    os.close(descriptor)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[EngineRun]:
    """A run over two equal files, opened; one shard each."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("one", "other"):
        (source / name).write_bytes(CONTENT)
    with new_session(tmp_path / "repository") as session:
        run = EngineRun.of(session, source)
        run.claims = ClaimTable()
        run.open()
        yield run


def _commit_and_check(run: EngineRun, pages: list[Page], tmp_path: Path) -> None:
    committed = run.commit(pages).result
    assert committed is not None
    assert committed.totals.files == 2
    close_run(run.backup.workspace)
    restic(tmp_path / "repository", PASSWORD, "check", "--read-data")


def test_two_shards_at_once_store_what_they_share_once(run: EngineRun, tmp_path: Path) -> None:
    pages = run.select()
    read, go_on = threading.Event(), threading.Event()

    def wait_at_the_end(files: int, _read_bytes: int) -> None:
        if files:
            read.set()
            assert go_on.wait(60)

    first = threading.Thread(target=run.store, args=(0, wait_at_the_end))
    first.start()
    try:
        assert read.wait(60)
        second = run.store(1)
    finally:
        go_on.set()
        first.join()
    assert second.totals.data_blobs == 0
    assert second.packs == ()
    assert run.store(0).totals.data_blobs > 1
    _commit_and_check(run, pages, tmp_path)


def test_a_promise_that_is_not_kept_costs_a_second_reading_and_nothing_else(
    run: EngineRun, tmp_path: Path
) -> None:
    pages = run.select()
    blobs = _promised_by_nobody(run)
    for shard in (0, 1):
        assert run.store(shard).totals.data_blobs == 0
    assert run.commit(pages).missing_shards == (0, 1)
    assert run.store(0).totals.data_blobs == len(blobs)
    assert run.store(1).totals.data_blobs == 0
    _commit_and_check(run, pages, tmp_path)


def test_a_checkpoint_that_relies_on_others_is_gone_on_from(run: EngineRun, tmp_path: Path) -> None:
    pages = run.select()
    _promised_by_nobody(run)

    def stop(_files: int, read_bytes: int) -> None:
        if read_bytes:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run.store(1, stop)
    totals = run.store(1).totals
    assert totals.checkpoints_resumed == 1
    assert 0 < totals.data_added < FILE_BYTES, "it stored what it read, and did not read from the start"
    run.store(0)
    missing = run.commit(pages).missing_shards
    assert missing
    for shard in missing:
        run.store(shard)
    _commit_and_check(run, pages, tmp_path)


def _promised_by_nobody(run: EngineRun) -> set[BlobId]:
    """Claim the content of the files for a shard that will never store it."""
    assert run.claims is not None
    repository = run.session.repository
    nobody = run.claims.of_shard(repository.id, run.backup.run_id, 99)
    content = memoryview(CONTENT)
    blobs: set[BlobId] = set()
    for length in Chunker(repository.chunker_seed).cuts(content, final=True):
        blob, content = BlobId(sha256(content[:length])), content[length:]
        nobody.is_claimed_elsewhere(blob)
        blobs.add(blob)
    return blobs

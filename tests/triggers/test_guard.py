"""Loss and damage: a deleted directory comes back by policy; what was scrambled is reported, and waits for approval."""

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random

from temporalio.client import Client

from holdfast.contracts import identity
from holdfast.guard.compare import compare, newest_snapshot
from holdfast.guard.findings import Alarm, Comparison, FindingKind, Thresholds, judge
from holdfast.guard.noise import became_noise, is_noise
from holdfast.ids import BlobId, from_hex
from holdfast.repository.repository import Repository
from holdfast.repository.snapshots import list_snapshots
from holdfast.retention.holds import Proofs, open_alarms, protections
from holdfast.service.journal.journal import Journal
from holdfast.storage.local import LocalStorage
from holdfast.terms import RunKind
from tests.support.comparison import plant, same
from tests.support.engine import EngineRun, new_session
from tests.support.runs import everything_stored_about
from tests.triggers.site import PASSWORD, Site

GUARD = '[sources.docs.guard]\non_missing = "restore"\non_damaged = "ask"\n'
TEXT = b"the quick brown fox jumps over the lazy dog. " * 100


def test_noise_is_told_from_text_at_every_length() -> None:
    random = Random(1)
    for length in (600, 4_000, 65_536):
        assert is_noise(random.randbytes(length))
        assert not is_noise((TEXT * 20)[:length])
        assert became_noise((TEXT * 20)[:length], random.randbytes(length))
        assert not became_noise(random.randbytes(length), random.randbytes(length))
    assert not is_noise(random.randbytes(100))


def _compared(repository: Path, source: Path, change: Sequence[Callable[[], object]]) -> Comparison:
    with new_session(repository) as session:
        EngineRun.of(session, source).run()
        for action in change:
            action()
        run = EngineRun.of(session, source)
        with session.hold() as held:
            held.refresh()
            stored = newest_snapshot(session.repository, run.order.spec, "testhost")
            tree = BlobId(from_hex(stored.snapshot.tree))
            return compare(held, run.order.spec, tree, Thresholds(), lambda: None)


def scramble(file: Path) -> None:
    """Other bytes, the same size, the same time."""
    stat = file.stat()
    with file.open("r+b") as opened:
        content = bytearray(opened.read())
        content[len(content) // 2] ^= 0xFF
        opened.seek(0)
        opened.write(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_what_is_missing_and_what_was_scrambled_is_told_from_work(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    plant(source, files=40, large_bytes=1 << 20)
    found = _compared(
        tmp_path / "repository",
        source,
        [
            lambda: shutil.rmtree(source / "canary-dir-3"),
            lambda: scramble(source / "canary-dir-1/canary-file-31"),
            lambda: (source / "canary-dir-2/canary-file-2").write_bytes(b"somebody's work"),
            lambda: (source / "canary-dir-2/new").write_bytes(b"somebody's work"),
            lambda: (source / "canary-dir-4/canary-file-4").chmod(0o600),
        ],
    )
    assert found.paths(FindingKind.MISSING) == (bytes(source / "canary-dir-3"),)
    assert found.paths(FindingKind.DAMAGED) == (bytes(source / "canary-dir-1/canary-file-31"),)
    assert (found.missing, found.damaged, found.changed, found.new, found.noise) == (8, 1, 1, 1, 0)
    assert judge(found, Thresholds()) is Alarm.NONE


def test_many_files_that_turn_into_noise_are_an_alarm(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    random = Random(2)
    files = [source / f"letter-{number}" for number in range(60)]
    for file in files:
        file.write_bytes(TEXT)
    kept, renamed = files[:15], files[15:30]
    found = _compared(
        tmp_path / "repository",
        source,
        [
            *(lambda file=file: file.write_bytes(random.randbytes(5_000)) for file in kept),
            *(lambda file=file: file.rename(f"{file}.locked") for file in renamed),
            *(
                lambda file=file: Path(f"{file}.locked").write_bytes(random.randbytes(5_000))
                for file in renamed
            ),
        ],
    )
    assert (found.noise, found.noise_new, found.missing) == (15, 15, 15)
    assert judge(found, Thresholds()) is Alarm.NOISE


def test_a_root_that_is_gone_or_empty_is_an_alarm(tmp_path: Path) -> None:
    for number, loss in enumerate((_remove, _empty)):
        source = tmp_path / f"source-{number}"
        source.mkdir()
        (source / "file").write_bytes(TEXT)
        found = _compared(tmp_path / f"repository-{number}", source, [partial(loss, source)])
        assert judge(found, Thresholds()) is Alarm.ROOT_GONE
        assert found.missing == 1


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def test_files_that_rot_without_a_trace_are_found_when_their_turn_comes(tmp_path: Path) -> None:
    """With a share of 1 each file is read each time; here all that differs is told by the content alone."""
    source = tmp_path / "source"
    source.mkdir()
    file = source / "file"
    file.write_bytes(TEXT)
    with new_session(tmp_path / "repository") as session:
        run = EngineRun.of(session, source)
        run.run()
        scramble(file)
        spec = EngineRun.of(session, source, ignore_ctime=True).order.spec
        with session.hold() as held:
            held.refresh()
            stored = newest_snapshot(session.repository, spec, "testhost")
            tree = BlobId(from_hex(stored.snapshot.tree))
            never = compare(held, spec, tree, Thresholds(read_share=0.0), lambda: None)
            always = compare(held, spec, tree, Thresholds(read_share=1.0), lambda: None)
    assert (never.damaged, always.damaged) == (0, 1)


async def test_restored_by_policy_reported_and_restored_after_approval(site: Site, client: Client) -> None:
    plant(site.source, files=40, large_bytes=1 << 20)
    site.declare(GUARD)
    with site.serving():
        await asyncio.to_thread(site.holdfast, "backup", "--source", "docs")
        pristine = site.folder / "pristine"
        await asyncio.to_thread(shutil.copytree, site.source, pristine, symlinks=True)
        shutil.copystat(site.source, pristine)
        shutil.rmtree(site.source / "canary-dir-3")
        victim = site.source / "canary-dir-1/canary-file-31"
        scramble(victim)
        scrambled = victim.read_bytes()

        waiting = await asyncio.to_thread(site.answer, "guard", "docs", code=3)
        assert waiting["waiting"] == ["damaged"]
        assert (waiting["missing"], waiting["damaged"]) == (8, 1)
        assert (site.source / "canary-dir-3").is_dir()
        assert victim.read_bytes() == scrambled

        refused = await asyncio.to_thread(
            site.holdfast, "approve", "docs", "--by", "Ada", "--reason", " ", code=1
        )
        assert "needs a reason" in refused
        refused = await asyncio.to_thread(
            site.holdfast, "approve", "docs", "--by", "Ada", "--reason", "x", "--part", "missing", code=1
        )
        assert "does not wait" in refused
        done = await asyncio.to_thread(
            site.answer, "approve", "docs", "--by", "Ada", "--reason", "compared by hand"
        )
        assert done["status"] == "complete"
        assert [(one["part"], one["outcome"], one["by"]) for one in done["decisions"]] == [
            ("missing", "restored", "policy"),
            ("damaged", "restored", "Ada"),
        ]
    shutil.copystat(
        pristine, site.source
    )  # it only led to what was restored, so it keeps the time of the loss
    assert same(pristine, site.source)
    (record,) = Journal.at(site.settings.journal_path).runs(9, kind=RunKind.GUARD)
    assert "damaged restored by Ada: compared by hand" in record.reason
    paths = {file.path for file in Journal.at(site.settings.journal_path).files(record.run_id)}
    assert paths == {bytes(site.source / "canary-dir-3"), bytes(victim)}
    handle = client.get_workflow_handle(
        identity.workflow_id(RunKind.GUARD, site.settings.host, "home", "docs")
    )
    assert b"canary" not in await everything_stored_about(handle)


async def test_nobody_approves_in_time(site: Site) -> None:
    plant(site.source, files=5, large_bytes=0)
    site.declare(GUARD.replace('"restore"', '"ask"') + 'approval = "1s"\n')
    with site.serving():
        await asyncio.to_thread(site.holdfast, "backup", "--source", "docs")
        (site.source / "canary-dir-3/canary-file-3").unlink()
        await asyncio.to_thread(site.holdfast, "guard", "docs", code=3)
        journal = Journal.at(site.settings.journal_path)
        while "expired" not in journal.runs(1)[0].reason:
            await asyncio.sleep(0.2)
        late = await asyncio.to_thread(
            site.holdfast, "approve", "docs", "--by", "Ada", "--reason", "late", code=1
        )
    assert "no guard of docs waits" in late
    assert not (site.source / "canary-dir-3/canary-file-3").exists()


async def test_an_alarm_holds_what_was_there_before_until_a_person_decides(site: Site) -> None:
    plant(site.source, files=5, large_bytes=0)
    site.declare(GUARD)
    repository = Repository.open(LocalStorage(site.repository), PASSWORD)
    with site.serving():
        for _ in range(2):
            await asyncio.to_thread(site.holdfast, "backup", "--source", "docs")
        shutil.rmtree(site.source)
        site.source.mkdir()
        waiting = await asyncio.to_thread(site.answer, "guard", "docs", code=3)
        assert waiting["alarm"]
        (note,) = open_alarms(repository)
        assert (note.host, note.source, note.run) == (site.host, "docs", waiting["run_id"])

        snapshots = list_snapshots(repository)
        known = protections(repository, snapshots, Proofs(), time.time_ns())
        assert [known.holding(stored, time.time_ns()) for stored in snapshots] == [("alarm: docs",)] * 2
        refused = ("approve", "docs", "--refuse", "--by", "Ada", "--reason", "it was me")
        await asyncio.to_thread(site.answer, *refused, code=3)
        assert open_alarms(repository) == []

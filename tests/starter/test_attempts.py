"""Each attempt keeps its record, and what a lost server knew of a run the journal knows as well. Real commands."""

import random
import time
from pathlib import Path

import pytest

from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord
from holdfast.terms import RunKind, RunStatus
from tests.support.campaign import MIB, Site, kill_family, snapshots
from tests.support.faults import stock_restic

HOOK = '[hooks.pre]\ncommand = ["test", "-e", "{}/ok"]\non_failure = "fail"\n'
NS = 10**9


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(folder=tmp_path, random=random.Random(5))
    (tmp_path / "disk").mkdir()
    (tmp_path / "state-disk").mkdir()
    site.prepare()
    return site


def succeeds(site: Site, *words: str) -> str:
    """What it says, on both outputs."""
    ended = site.run(*words)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def journal_of(site: Site) -> Journal:
    return Journal.at(site.state / "journal.db")


def killed_when_opened(site: Site, *words: str) -> RunRecord:
    """A run that the journal has as running, and whose command, server and workers are dead."""
    journal = journal_of(site)
    for _ in range(9):
        process = site.command(*words)
        while process.poll() is None:
            newest = journal.runs(1)
            if newest and newest[0].status is RunStatus.RUNNING and newest[0].kind.value == words[0]:
                kill_family(process)
                (found,) = journal.runs(1)
                if found.status is RunStatus.RUNNING:
                    return found
                break
            time.sleep(0.01)
    raise AssertionError("it was always over before it could be killed")


def lose_the_server(site: Site) -> None:
    for path in site.state.glob("temporal.db*"):
        path.unlink()


def test_a_failure_stays_and_the_snapshot_is_not_older_than_what_it_holds(site: Site) -> None:
    with (site.folder / "holdfast.toml").open("a") as settings:
        settings.write(HOOK.format(site.folder))
    text = (site.folder / "holdfast.toml").read_text()
    (site.folder / "holdfast.toml").write_text(
        text.replace("[sources.home]\n", '[sources.home]\nbefore = ["pre"]\n')
    )
    assert site.ended(site.command("backup", "home")) == 1
    later = site.source / "later.txt"
    later.touch()
    (site.folder / "ok").touch()
    succeeds(site, "backup", "home")
    complete, failed = journal_of(site).runs(9)
    assert (failed.status, failed.failure_kind) == (RunStatus.FAILED, "HookFailedError")
    assert "exit code 1" in failed.failure_message
    assert (complete.status, complete.resumes) == (RunStatus.COMPLETE, failed.run_id)
    assert complete.started_ns >= later.stat().st_mtime_ns
    assert len(snapshots(site)) == 1
    restored = site.folder / "restored"
    stock_restic(
        site.repository, "restore", "latest", "--target", str(restored), password=b"canary-password-horse"
    )
    assert (restored / later.relative_to("/")).exists()
    assert "exit code 1" in succeeds(site, "run", "show", failed.run_id[-8:])
    assert failed.run_id[-8:] in succeeds(site, "runs", "--status", "failed")


@pytest.mark.parametrize("word", ["backup", "resume"])
def test_a_run_of_a_source_that_is_another_now_begins_again(site: Site, word: str) -> None:
    settings = site.folder / "holdfast.toml"
    settings.write_text(
        settings.read_text().replace("[sources.home]\n", '[sources.home]\nbefore = ["pre"]\n')
        + HOOK.format(site.folder)
    )
    assert site.ended(site.command("backup", "home")) == 1
    (site.folder / "ok").touch()
    (site.source / "left.out").touch()
    settings.write_text(
        settings.read_text().replace("[sources.home]\n", '[sources.home]\nexclude = ["*.out"]\n')
    )
    said = succeeds(site, word, "home")
    assert "settings have changed" in said
    complete, failed = journal_of(site).runs(9)
    assert (complete.status, complete.resumes) == (RunStatus.COMPLETE, "")
    assert complete.source_digest not in {"", failed.source_digest}


@pytest.mark.parametrize("resume", [False, True])
def test_a_restore_and_its_verification_survive_the_loss_of_the_server(site: Site, *, resume: bool) -> None:
    (site.source / "large").write_bytes(site.random.randbytes(40 * MIB))
    succeeds(site, "backup", "home")
    words = ("restore", f"latest:{site.source}", "--target", str(site.folder / "target"), "--verify")
    killed = killed_when_opened(site, *words)
    lose_the_server(site)
    said = succeeds(site, *(("resume",) if resume else words))
    assert "going on with the interrupted run" in said
    restored, lost = journal_of(site).runs(9, kind=RunKind.RESTORE)[:2]
    assert (restored.resumes, lost.run_id) == (killed.workspace_id, killed.run_id)
    assert restored.verdict is not None
    assert restored.verdict.ok
    assert (lost.status, lost.failure_kind) == (RunStatus.FAILED, "Interrupted")
    assert not list((site.repository / "holdfast" / "runs").glob("*/*"))


def test_a_backup_that_a_service_has_lost_goes_on_when_it_is_up_again(site: Site) -> None:
    (site.source / "large").write_bytes(site.random.randbytes(60 * MIB))
    killed = killed_when_opened(site, "backup", "home")
    lose_the_server(site)
    service = site.command("up")
    try:
        give_up = time.monotonic() + 120
        while not (done := journal_of(site).runs(9, statuses=[RunStatus.COMPLETE])):
            assert time.monotonic() < give_up, (site.folder / "commands.log").read_text()
            time.sleep(0.2)
    finally:
        kill_family(service)
    assert [run.resumes for run in done] == [killed.run_id]
    assert len(snapshots(site)) == 1


def test_a_command_says_when_its_run_is_not_in_the_journal(site: Site) -> None:
    succeeds(site, "backup", "home")
    for path in site.state.glob("journal.db*"):
        path.write_bytes(site.random.randbytes(50_000))
    said = succeeds(site, "backup", "home")
    assert "the journal cannot be read" in said
    assert "the journal has no record of this run" in said
    assert len(snapshots(site)) == 2


def test_a_dry_run_is_none_of_the_restores(site: Site) -> None:
    succeeds(site, "backup", "home")
    succeeds(site, "restore", f"latest:{site.source}", "--target", str(site.folder / "target"), "--dry-run")
    assert [run.kind for run in journal_of(site).runs(9)] == [RunKind.DRY_RUN, RunKind.BACKUP]
    assert "dry-run" in succeeds(site, "runs")

"""Changes of files, and reports of other services, become one backup."""

import asyncio
from asyncio.subprocess import Process

import pytest
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy

from holdfast.contracts.watch import (
    CHANGES_UPDATE,
    Changes,
    PendingChanges,
    WatchConditions,
    WatchStatus,
    due_ns,
)
from holdfast.control.runs import is_open
from holdfast.service.journal.journal import Journal
from holdfast.starter.watching.collector import report, watch_id, watch_order
from tests.triggers.site import Site

S = 10**9
WATCH = '[sources.docs.watch]\nquiet = "{quiet}"\nmin_interval = "{interval}"\nmax_age = "1h"\n'


async def told(watcher: Process, words: bytes) -> bytes:
    """The line of what a command says that has these words."""
    assert watcher.stderr is not None
    while words not in (line := await watcher.stderr.readline()):
        if line.startswith(b"unshare:"):
            pytest.skip("no user namespace is to be had here")
        assert line, "it has ended"
    return line


def test_what_makes_a_backup_due() -> None:
    pending = PendingChanges().plus(Changes(files=3, size_bytes=10, largest_bytes=9), 100 * S)
    any_change = WatchConditions(quiet_s=30, max_age_s=600, min_interval_s=60)
    assert due_ns(any_change, PendingChanges(), 0) is None
    assert due_ns(any_change, pending, 0) == 130 * S
    later = pending.plus(Changes(files=1), 120 * S)
    assert due_ns(any_change, later, 0) == 150 * S
    assert due_ns(any_change, later, 99 * S) == 159 * S
    four_files = WatchConditions(files=4, quiet_s=30, max_age_s=600)
    assert due_ns(four_files, pending, 0) == 700 * S
    assert due_ns(four_files, later, 0) == 150 * S
    assert due_ns(WatchConditions(files=99, file_size_bytes=9, quiet_s=1), pending, 0) == 101 * S
    # A file that never rests waits for its age and no longer.
    assert due_ns(WatchConditions(quiet_s=30, max_age_s=40), later, 0) == 140 * S


async def test_a_thousand_file_events_make_one_run(site: Site, client: Client) -> None:
    site.declare('[sources.docs.watch]\nfiles = 1001\nquiet = "1s"\nmin_interval = "0s"\nmax_age = "1h"\n')
    watcher = await asyncio.create_subprocess_exec(
        *site.command("watch", "docs"), cwd=site.project, env=site.environment, stderr=asyncio.subprocess.PIPE
    )
    with site.serving():
        await told(watcher, b"watching the source docs")
        handle = client.get_workflow_handle(watch_id(site.settings, site.settings.source("docs")))
        while not await is_open(client, handle.id):
            (site.source / "first").write_bytes(b"the watch is set once this is seen")
            await asyncio.sleep(0.2)
        for number in range(1_000):
            (site.source / f"canary-{number}").write_bytes(bytes(number))
            if number % 100 == 99:
                await asyncio.sleep(0.3)  # so that they come in several reports
        journal = Journal.at(site.settings.journal_path)
        while not any(run.ended_ns for run in journal.runs(9)):
            await asyncio.sleep(0.2)
        status = WatchStatus(**await handle.result())
    watcher.terminate()
    await watcher.communicate()
    (run,) = journal.runs(9)
    assert run.counters["files"] == 1_001
    assert run.trigger_kind == "event"
    assert run.trigger_by == "holdfast watch"
    assert "1001 changes" in run.trigger_evidence
    assert status.runs == 1


async def test_reports_while_a_backup_runs_make_one_more(site: Site, client: Client) -> None:
    """As another service would report: 40 at once, then as much in one while the backup is under way, then none."""
    site.declare('[sources.docs.watch]\nfiles = 40\nquiet = "1s"\nmin_interval = "3s"\nmax_age = "1h"\n')
    (site.source / "file").write_bytes(b"content")
    settings, source = site.settings, site.settings.source("docs")
    with site.serving():
        await asyncio.gather(*(report(client, settings, source, Changes(by="database")) for _ in range(40)))
        handle = client.get_workflow_handle(watch_id(settings, source))
        journal = Journal.at(settings.journal_path)
        while not journal.runs(9):
            await asyncio.sleep(0.05)
        await report(client, settings, source, Changes(by="database", files=40, evidence="table orders"))
        status = WatchStatus(**await handle.result())
    assert status.runs == 2
    assert status.reports == 41
    newest, first = journal.runs(9)
    assert first.trigger_evidence.startswith("40 changes in 40 reports")
    assert newest.trigger_evidence == "40 changes in 1 reports, 0 bytes; table orders"


async def test_one_report_waits_for_no_other(site: Site, client: Client) -> None:
    """It comes with what starts the collector, which took it, and then waited a minute for the first one."""
    site.declare(WATCH.format(quiet="1s", interval="0s"))
    (site.source / "file").write_bytes(b"content")
    settings, source = site.settings, site.settings.source("docs")
    with site.serving():
        await report(client, settings, source, Changes())
        handle = client.get_workflow_handle(watch_id(settings, source))
        status = WatchStatus(**await handle.result())
    assert status.runs == 1
    timers = [
        event.timer_started_event_attributes.start_to_fire_timeout.ToSeconds()
        async for event in handle.fetch_history_events()
        if event.HasField("timer_started_event_attributes")
    ]
    assert timers
    assert max(timers) <= 1


async def test_a_path_counts_again_once_a_backup_has_taken_it_over(site: Site, client: Client) -> None:
    """The condition asks for three files; the same three change before each of two backups."""
    site.declare('[sources.docs.watch]\nfiles = 3\nquiet = "1s"\nmin_interval = "1s"\nmax_age = "1d"\n')
    watcher = await asyncio.create_subprocess_exec(
        *site.command("watch", "docs"), cwd=site.project, env=site.environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        await told(watcher, b"watching the source docs")
        journal = Journal.at(site.settings.journal_path)
        with site.serving():
            for runs in (1, 2, 3):
                for number in range(3):
                    (site.source / f"file-{number}").write_bytes(b"%d" % runs)
                while sum(bool(run.ended_ns) for run in journal.runs(9)) < runs:
                    await asyncio.sleep(0.2)
    finally:
        watcher.terminate()
        await watcher.communicate()


async def test_a_source_beyond_the_kernels_limit_is_told_of_and_the_others_are_watched(
    site: Site, client: Client
) -> None:
    large = site.folder / "large"
    for number in range(40):
        (large / str(number)).mkdir(parents=True)
    site.declare(
        WATCH.format(quiet="1s", interval="0s")
        + f'[sources.large]\nrepository = "home"\npaths = ["{large}"]\n[sources.large.watch]\n'
    )
    limit = 'echo 20 > /proc/sys/user/max_inotify_watches && exec "$@"'
    watcher = await asyncio.create_subprocess_exec(
        *(
            "unshare",
            "--user",
            "--map-root-user",
            "sh",
            "-c",
            limit,
            "sh",
            *site.command("watch", "large", "docs"),
        ),
        cwd=site.project,
        env=site.environment,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert b"fs.inotify.max_user_watches" in await told(watcher, b"source large cannot be watched")
        await told(watcher, b"watching the source docs")
        with site.serving():
            (site.source / "file").write_bytes(b"changed")
            journal = Journal.at(site.settings.journal_path)
            while not journal.runs(9):
                await asyncio.sleep(0.2)
    finally:
        watcher.terminate()
        await watcher.communicate()


async def test_a_report_with_a_long_text_is_refused(site: Site, client: Client) -> None:
    settings, source = site.settings, site.settings.source("docs")
    start: WithStartWorkflowOperation[object, WatchStatus] = WithStartWorkflowOperation(
        "SourceWatch",
        watch_order(settings, source),
        id=watch_id(settings, source),
        task_queue=site.queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    with site.serving(), pytest.raises(WorkflowUpdateFailedError) as refused:
        await client.execute_update_with_start_workflow(
            CHANGES_UPDATE, Changes(by="x" * 201), start_workflow_operation=start
        )
    assert "at most 200 characters" in str(refused.value.cause)

"""Changes of files, and reports of other services, become one backup."""

import asyncio

import pytest
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy

from contracts.watch import CHANGES_UPDATE, Changes, PendingChanges, WatchConditions, WatchStatus, due_ns
from holdfast.journal.journal import Journal
from starter.runs import is_open
from starter.watching.reporting import report, watch_id, watch_order
from tests.triggers.site import Site

S = 10**9
WATCH = '[sources.docs.watch]\nquiet = "{quiet}"\nmin_interval = "{interval}"\nmax_age = "1h"\n'


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
    site.declare(WATCH.format(quiet="5s", interval="0s"))
    watcher = await asyncio.create_subprocess_exec(
        *site.command("watch", "docs"), cwd=site.project, env=site.environment, stderr=asyncio.subprocess.PIPE
    )
    with site.serving():
        assert watcher.stderr is not None
        assert b"watching the source docs" in await watcher.stderr.readline()
        handle = client.get_workflow_handle(watch_id(site.settings, site.settings.source("docs")))
        while not await is_open(client, handle.id):
            (site.source / "first").write_bytes(b"the watch is set once this is seen")
            await asyncio.sleep(0.2)
        for number in range(1_000):
            (site.source / f"canary-{number}").write_bytes(bytes(number))
            if number % 100 == 99:
                await asyncio.sleep(1)
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
    """As another service would report: 40 at once, then while the backup is under way, then none."""
    site.declare(WATCH.format(quiet="3s", interval="0s"))
    (site.source / "file").write_bytes(b"content")
    settings, source = site.settings, site.settings.source("docs")
    with site.serving():
        await asyncio.gather(*(report(client, settings, source, Changes(by="database")) for _ in range(40)))
        handle = client.get_workflow_handle(watch_id(settings, source))
        journal = Journal.at(settings.journal_path)
        while not journal.runs(9):
            await asyncio.sleep(0.05)
        await report(client, settings, source, Changes(by="database", evidence="table orders"))
        status = WatchStatus(**await handle.result())
    assert status.runs == 2
    assert status.reports == 41
    newest, first = journal.runs(9)
    assert first.trigger_evidence.startswith("40 changes in 40 reports")
    assert newest.trigger_evidence == "1 changes in 1 reports, 0 bytes; table orders"


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

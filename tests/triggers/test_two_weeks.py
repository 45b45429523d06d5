"""Simulated time on a changing tree, on a real server: each strategy's snapshots restore exactly, by us and by restic.

The schedule's own calendar decides what runs when: each step of time is a backfill of one minute, and the server starts
whatever is due in it.
"""

import asyncio
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from temporalio.client import Client, ScheduleBackfill, ScheduleOverlapPolicy

from holdfast.contracts import identity
from holdfast.control.runs import is_open
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord
from holdfast.terms import RunKind
from tests.support.comparison import same
from tests.triggers.site import Site
from tests.triggers.two_weeks import MIB, Tree

SUNDAY: Final = datetime(2026, 1, 4, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
SCHEDULES: Final = """
[[sources.docs.schedules]]
name = "weekly"
strategy = "full"
calendar = { day_of_week = "sun", hour = 3 }
[[sources.docs.schedules]]
name = "nightly"
strategy = "differential"
cron = "0 3 * * mon-sat"
[[sources.docs.schedules]]
name = "by-day"
strategy = "incremental"
every = "6h"
offset = "3h"
[[sources.docs.schedules]]
name = "noon"
strategy = "auto"
calendar = { hour = 12 }
"""
EXPECTED: Final = {"weekly": "full", "nightly": "differential", "by-day": "incremental", "noon": "auto"}


async def test_a_weekend_of_every_strategy(site: Site, client: Client) -> None:
    await _simulate(site, client, ((0, 3, "weekly"), (0, 9, "by-day"), (0, 12, "noon"), (1, 3, "nightly")))


@pytest.mark.heavy
async def test_two_weeks_of_every_strategy(site: Site, client: Client) -> None:
    steps = [
        (day, hour, name)
        for day in range(14)
        for hour, name in (
            (3, "nightly" if day % 7 else "weekly"),
            (9, "by-day"),
            (12, "noon"),
            (15, "by-day"),
            (21, "by-day"),
        )
    ]
    await _simulate(site, client, steps)


async def _simulate(site: Site, client: Client, steps: Sequence[tuple[int, int, str]]) -> None:
    site.declare(SCHEDULES)
    tree = Tree(site.source, files=60, database_bytes=2 * MIB)
    await asyncio.to_thread(site.holdfast, "schedule", "apply", "--yes")
    moments: list[tuple[str, Path, str]] = []
    with site.serving():
        for number, (day, hour, name) in enumerate(steps):
            moment = SUNDAY + timedelta(days=day, hours=hour)
            # Only this schedule is asked what is due: each has its own calendar.
            handle = client.get_schedule_handle(f"holdfast.{site.host}.docs.{name}")
            await handle.backfill(
                ScheduleBackfill(
                    start_at=moment - MINUTE, end_at=moment + MINUTE, overlap=ScheduleOverlapPolicy.BUFFER_ALL
                )
            )
            run = await _ended(site, client, number + 1)
            assert run.trigger_by == handle.id
            assert run.trigger_evidence == f"due {moment.isoformat(timespec='seconds')}"
            assert run.strategy == EXPECTED[name] or EXPECTED[name] == "auto"
            pristine = site.folder / f"pristine-{number}"
            await asyncio.to_thread(shutil.copytree, site.source, pristine)
            moments.append((run.snapshot_id, pristine, name))
            tree.live()
        for snapshot, pristine, _ in moments:
            ours = site.folder / f"ours-{snapshot[:8]}"
            await asyncio.to_thread(
                site.holdfast, "restore", f"{snapshot}:{site.source}", "--repo", "home", "--target", str(ours)
            )
            assert same(pristine, ours)
    for snapshot, pristine, _ in moments:
        restic = site.folder / f"restic-{snapshot[:8]}"
        assert same(pristine, await asyncio.to_thread(site.restored_by_restic, snapshot, restic))


async def _ended(site: Site, client: Client, count: int) -> RunRecord:
    """The newest backup, once there are so many and the source is idle: else the next time would be skipped."""
    journal = Journal.at(site.settings.journal_path)
    while True:
        found = journal.runs(100, kind=RunKind.BACKUP)
        workflow_id = identity.workflow_id(RunKind.BACKUP, site.settings.host, "home", "docs")
        if len(found) >= count and found[0].ended_ns and not await is_open(client, workflow_id):
            return found[0]
        await asyncio.sleep(0.1)

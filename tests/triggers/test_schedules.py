"""`schedule apply` on a real server: applied twice, edited, deleted; a schedule's run and a person's run are one."""

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from holdfast.contracts import identity
from holdfast.contracts.backup import BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW
from holdfast.control.schedules.declaration import declarations
from holdfast.control.schedules.plan import Standing, Step, plain, plan
from holdfast.errors import SettingsError, UsageError
from holdfast.service.journal.journal import Journal
from holdfast.terms import RunKind
from tests.support.comparison import plant
from tests.triggers.site import Site

WEEKLY = '[[sources.docs.schedules]]\nname = "weekly"\nstrategy = "full"\ncalendar = {day_of_week = "sun", hour = 3}\n'
NIGHTLY = '[[sources.docs.schedules]]\nname = "nightly"\nstrategy = "differential"\ncron = "30 2 * * *"\n'
HOURLY = '[[sources.docs.schedules]]\nname = "hourly"\nstrategy = "incremental"\nevery = "{every}"\njitter = "5m"\n'
SYSTEM = """
[hooks.check]
command = ["test", "!", "-e", "{broken}"]
[systems.shop]
sources = ["docs"]
before = ["check"]
[[schedules]]
kind = "system"
system = "shop"
cron = "0 2 * * *"
pause_on_failure = true
"""


def test_a_plan_names_what_changes_and_leaves_the_rest_alone(site: Site) -> None:
    site.declare(WEEKLY + NIGHTLY)
    before = [Standing(id=wanted.id, entry=plain(wanted.entry)) for wanted in declarations(site.settings)]
    assert plan(declarations(site.settings), before) == []
    site.declare(WEEKLY + NIGHTLY.replace("30 2", "45 2"))
    (step,) = plan(declarations(site.settings), before)
    assert (step.step, step.id) == (Step.CHANGE, f"holdfast.{site.host}.docs.nightly")
    assert step.differences == ('cron: ["30 2 * * *"] → ["45 2 * * *"]',)
    site.declare(WEEKLY)
    (step,) = plan(declarations(site.settings), before)
    assert (step.step, step.id) == (Step.DELETE, f"holdfast.{site.host}.docs.nightly")


def test_every_kind_can_be_declared_and_no_path_of_it_leaves_the_host(site: Site) -> None:
    kinds = "".join(
        f'[[schedules]]\nkind = "{kind}"\nevery = "1d"\n{keys}\n'
        for kind, keys in (
            ("restore", f'source = "docs"\ntarget = "{site.folder}/canary-target"\ninclude = ["canary-*"]'),
            ("verify", 'repository = "home"'),
            ("guard", 'source = "docs"'),
            ("drill", 'source = "docs"\nshare = "5%"'),
            ("retention", 'source = "docs"'),
            ("prune", 'repository = "home"'),
            ("system", 'system = "shop"\nstrategy = "full"'),
        )
    )
    more = '[systems.shop]\nsources = ["docs"]\n[sources.docs.retention]\nkeep_last = 3\n'
    site.declare(WEEKLY + HOURLY.format(every="1h") + kinds + more)
    declared = declarations(site.settings)
    known = ("backup", "restore", "verify", "guard", "drill", "prune", "system", "forget")
    words = {"retention": "forget"}
    assert {words.get(wanted.settings.kind, wanted.settings.kind) for wanted in declared} == set(known)
    assert plan(declared, [Standing(id=wanted.id, entry=plain(wanted.entry)) for wanted in declared]) == []
    for wanted in declared:
        order = asdict(wanted.order)
        asked = [kind for kind in known if order[kind]]
        assert asked == [words.get(wanted.settings.kind, wanted.settings.kind)]
        written = json.dumps(plain(wanted.entry))
        assert len(written) < 2_048, "a memo has 2 KiB"
        assert "canary" not in written
        assert "canary" not in json.dumps(order)


def test_a_retention_without_any_policy_is_refused(site: Site) -> None:
    site.declare('[[schedules]]\nkind = "retention"\nrepository = "home"\nevery = "1d"\n')
    with pytest.raises(UsageError, match="the settings have none for home"):
        declarations(site.settings)


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ("", "repository: this key is missing"),
        ('repository = "home"\nsource = "docs"', "source: it means nothing"),
    ],
)
def test_a_prune_is_of_a_repository(site: Site, keys: str, wrong: str) -> None:
    site.declare(f'[[schedules]]\nkind = "prune"\nevery = "1d"\n{keys}\n')
    with pytest.raises(SettingsError, match=wrong):
        declarations(site.settings)


def test_a_prune_goes_to_the_workers_that_may_delete(site: Site) -> None:
    site.declare(
        '[[schedules]]\nkind = "prune"\nevery = "1d"\nrepository = "home"\n[prune]\ntask_queue = "keeper"\n'
    )
    assert [declared.queue for declared in declarations(site.settings)] == ["keeper"]


async def test_apply_twice_plans_nothing_and_what_is_gone_is_asked_for(site: Site, client: Client) -> None:
    site.declare(WEEKLY + NIGHTLY + HOURLY.format(every="1h"))
    first = await asyncio.to_thread(site.answer, "schedule", "apply", "--yes")
    assert [step["step"] for step in first["steps"]] == ["create"] * 3
    assert (await asyncio.to_thread(site.answer, "schedule", "apply", "--yes"))["steps"] == []

    await asyncio.to_thread(site.holdfast, "schedule", "pause", "docs.hourly", "--note", "holidays")
    site.declare(WEEKLY + NIGHTLY + HOURLY.format(every="2h"))
    changed = await asyncio.to_thread(site.answer, "schedule", "apply", "--yes")
    assert [step["id"] for step in changed["steps"]] == [f"holdfast.{site.host}.docs.hourly"]
    handle = client.get_schedule_handle(f"holdfast.{site.host}.docs.hourly")
    described = await handle.describe()
    assert described.schedule.spec.intervals[0].every == timedelta(hours=2)
    assert described.schedule.state.paused
    assert described.schedule.state.note == "holidays"

    site.declare(WEEKLY + HOURLY.format(every="2h"))
    refused = await asyncio.to_thread(site.holdfast, "schedule", "apply", code=1)
    assert f"- delete holdfast.{site.host}.docs.nightly" in refused
    assert "--yes" in refused
    listed = await asyncio.to_thread(site.answer, "schedule", "list")
    assert len(listed) == 3
    await asyncio.to_thread(site.holdfast, "schedule", "apply", "--yes")
    listed = await asyncio.to_thread(site.answer, "schedule", "list")
    assert [row["id"].rpartition(".")[2] for row in listed] == ["hourly", "weekly"]


async def test_a_schedule_runs_its_backup_under_the_sources_id(site: Site, client: Client) -> None:
    plant(site.source, files=10, large_bytes=0)
    site.declare(WEEKLY)
    await asyncio.to_thread(site.holdfast, "schedule", "apply", "--yes")
    workflow_id = identity.workflow_id(RunKind.BACKUP, site.settings.host, "home", "docs")
    request = declarations(site.settings)[0].order.backup
    # Nobody serves the queue yet: a person's run stands open, and the schedule must not start a second one.
    person = await client.start_workflow(
        BACKUP_WORKFLOW, request, id=workflow_id, task_queue=site.queue, result_type=BackupResult
    )
    schedule = client.get_schedule_handle(f"holdfast.{site.host}.docs.weekly")
    await schedule.trigger()
    scheduled = await _action(client, schedule.id)
    with site.serving():
        first = await person.result()
        answer = await client.get_workflow_handle(scheduled).result()
        assert answer["outcome"] == "skipped"
        await asyncio.to_thread(site.holdfast, "schedule", "trigger", "docs.weekly")
        second = await client.get_workflow_handle(
            await _action(client, schedule.id, after=scheduled)
        ).result()
    assert second["outcome"] == "ran"
    newest = Journal.at(site.settings.journal_path).runs(2)
    assert [run.trigger_kind for run in newest] == ["schedule", "schedule"]
    assert newest[0].trigger_by == schedule.id
    assert newest[0].snapshot_id != first.snapshot_id
    assert newest[0].strategy == "full"


async def test_a_schedule_backs_a_system_up_and_pauses_once_nothing_of_it_is_recoverable(
    site: Site, client: Client
) -> None:
    plant(site.source, files=3, large_bytes=0)
    broken = site.folder / "broken"
    site.declare(SYSTEM.format(broken=broken))
    first = await asyncio.to_thread(site.answer, "schedule", "apply", "--yes")
    schedule = client.get_schedule_handle(f"holdfast.{site.host}.shop.system")
    assert [(step["step"], step["id"]) for step in first["steps"]] == [("create", schedule.id)]
    assert (await asyncio.to_thread(site.answer, "schedule", "apply", "--yes"))["steps"] == []
    with site.serving():
        await schedule.trigger()
        ran = await _action(client, schedule.id)
        answer = await client.get_workflow_handle(ran).result()
        assert answer["outcome"] == "ran"
        assert answer["workflow_id"] == f"system-backup:{site.host}:shop"
        assert not (await schedule.describe()).schedule.state.paused
        broken.touch()
        await schedule.trigger()
        failed = client.get_workflow_handle(await _action(client, schedule.id, after=ran))
        with pytest.raises(WorkflowFailureError) as failure:
            await failed.result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "SystemFailed"
    while not (await schedule.describe()).schedule.state.paused:
        await asyncio.sleep(0.1)
    runs = Journal.at(site.settings.journal_path).runs(9, kind=RunKind.SYSTEM_BACKUP)
    assert [run.status.value for run in runs] == ["failed", "complete"]
    assert {(run.trigger_kind, run.trigger_by) for run in runs} == {("schedule", schedule.id)}


async def test_next_and_backfill(site: Site, client: Client) -> None:
    plant(site.source, files=3, large_bytes=0)
    site.declare(NIGHTLY)
    await asyncio.to_thread(site.holdfast, "schedule", "apply", "--yes")
    times = await asyncio.to_thread(site.answer, "schedule", "next", "docs.nightly")
    assert {time["time"][10:] for time in times} == {"T02:30:00Z"}
    since = (datetime.now(UTC) - timedelta(days=2)).isoformat(timespec="seconds")
    with site.serving():
        await asyncio.to_thread(site.holdfast, "schedule", "backfill", "docs.nightly", "--since", since)
        journal = Journal.at(site.settings.journal_path)
        while len([run for run in journal.runs(9) if run.ended_ns]) < 2:
            await asyncio.sleep(0.2)
    assert [run.strategy for run in reversed(journal.runs(9))] == ["full", "differential"]


async def _action(client: Client, schedule: str, *, after: str = "") -> str:
    """The workflow that a schedule started last."""
    while True:
        description = await client.get_schedule_handle(schedule).describe()
        actions = [
            result.action.workflow_id
            for result in description.info.recent_actions
            if isinstance(result.action, ScheduleActionExecutionStartWorkflow)
        ]
        if actions and actions[-1] != after:
            return actions[-1]
        await asyncio.sleep(0.1)

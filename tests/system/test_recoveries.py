"""Recoveries as of a moment, to another host and place; a host that is away; a hook that prevents everything."""

import asyncio
import os
import time
from pathlib import Path
from typing import Final

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError

from holdfast.contracts.control import CANCEL, Asked
from holdfast.contracts.system import (
    MemberHost,
    SystemBackupRequest,
    SystemRequest,
    SystemRestoreRequest,
    SystemResult,
)
from holdfast.contracts.verbs import SYSTEM_BACKUP_WORKFLOW, SYSTEM_RESTORE_WORKFLOW
from holdfast.restore.request import SystemRestoreOrder
from holdfast.service.settings.requests import write_request
from holdfast.terms import RunStatus
from tests.support.comparison import restic
from tests.support.hosts import PASSWORD, Hosts
from tests.support.service import FAST, running_worker
from tests.unit.workflows.running import replay

PATIENCE_S: Final = 3.0


def declare(hosts: Hosts) -> None:
    one, two = hosts.one, hosts.two
    for host, name in ((one, "etc"), (two, "srv")):
        (host.folder / name).mkdir()
        (host.folder / name / "file").write_text(f"{name} first")
    one.settings = f"""
[sources.etc]
repository = "home"
paths = ["{one.folder}/etc"]
tags = ["nightly"]
[hooks.prevent]
command = ["sh", "-c", "exit 1"]
[hooks.note]
command = ["sh", "-c", 'echo "$HOLDFAST_STATUS" > {one.folder}/noted']
[systems.shop]
sources = ["etc", "srv@{two.name}"]
repository = "home"
[systems.prevented]
sources = ["etc"]
before = ["prevent"]
after = ["note"]
"""
    two.settings = f'[sources.srv]\nrepository = "home"\npaths = ["{two.folder}/srv"]\n'
    one.write()
    two.write()


async def run(client: Client, hosts: Hosts, request: SystemRequest) -> SystemResult:
    is_restore = isinstance(request, SystemRestoreRequest)
    name = SYSTEM_RESTORE_WORKFLOW if is_restore else SYSTEM_BACKUP_WORKFLOW
    handle = await client.start_workflow(
        name,
        request,
        id=f"{name}:{hosts.one.name}:{request.system}",
        task_queue=hosts.one.queue,
        result_type=SystemResult,
    )
    result: SystemResult = await handle.result()
    await replay(client, handle)
    return result


def oks(result: SystemResult) -> dict[str, tuple[bool, str]]:
    return {member.label.partition("@")[0]: (member.ok, member.reason) for member in result.members}


async def test_as_of_a_moment_to_another_place_while_a_host_is_away(client: Client, hosts: Hosts) -> None:
    declare(hosts)
    one, two = hosts.one, hosts.two
    backup = SystemBackupRequest(system="shop", policy=FAST, resolve_timeout_s=PATIENCE_S)
    with running_worker(one.worker_config, log=one.folder / "worker.log"):
        with running_worker(two.worker_config, log=two.folder / "worker.log"):
            first = await run(client, hosts, backup)
        assert (first.status, first.run_id.partition("/")[0]) == (
            RunStatus.COMPLETE,
            f"SystemBackup:{one.name}:shop",
        )
        (one.folder / "etc" / "file").write_text("etc second")
        second = await run(client, hosts, backup)
        assert second.status is RunStatus.PARTIAL
        assert oks(second) == {
            "etc": (True, ""),
            "srv": (False, f"not backed up: no worker of {two.name} answers"),
        }
        target = hosts.folder / "target"
        restored = await run(
            client,
            hosts,
            SystemRestoreRequest(
                system="shop",
                as_of_ns=first.ended_ns,
                hosts=(MemberHost(member="srv", host=one.name),),
                order=write_request(
                    one.folder / "state",
                    SystemRestoreOrder(system="shop", target=os.fsencode(target), as_of_ns=first.ended_ns),
                    once="this one",
                ),
                policy=FAST,
                resolve_timeout_s=PATIENCE_S,
            ),
        )
        assert restored.status is RunStatus.COMPLETE
        assert restored.system_run == first.run_id.partition("/")[2]
        assert [member.snapshot_id for member in restored.members] == [m.snapshot_id for m in first.members]
        assert file_below(target / "etc", one.folder / "etc") == "etc first"
        assert file_below(target / f"srv@{two.name}", two.folder / "srv") == "srv first"

        before_all = await run(
            client,
            hosts,
            SystemRestoreRequest(
                system="shop", as_of_ns=time.time_ns() - 10**15, policy=FAST, resolve_timeout_s=PATIENCE_S
            ),
        )
        assert before_all.status is RunStatus.FAILED
        assert oks(before_all) == {
            "etc": (False, "not restored: there is no snapshot of it, at or before that moment"),
            "srv": (False, f"not restored: no worker of {two.name} answers"),
        }
    tags = restic(hosts.folder / "repository", PASSWORD, "snapshots", "--json", "--tag", "nightly")
    assert '"holdfast-system:shop"' in tags
    assert '"holdfast-member:etc"' in tags


async def test_a_hook_of_the_system_prevents_all_of_it(client: Client, hosts: Hosts) -> None:
    declare(hosts)
    one = hosts.one
    request = SystemBackupRequest(system="prevented", policy=FAST, resolve_timeout_s=PATIENCE_S)
    with running_worker(one.worker_config, log=one.folder / "worker.log"):
        result = await run(client, hosts, request)
    assert result.status is RunStatus.FAILED
    words = "not backed up: the hook 'prevent' before the backup failed with exit code 1"
    assert oks(result) == {"etc": (False, words)}
    assert (one.folder / "noted").read_text() == "failed\n"
    assert not restic(hosts.folder / "repository", PASSWORD, "list", "snapshots")


@pytest.mark.parametrize("by_update", [True, False])
async def test_a_cancelled_system_ends_its_members_and_runs_its_hooks_after(
    client: Client, hosts: Hosts, *, by_update: bool
) -> None:
    one = hosts.one
    one.settings = f"""
[sources.slow]
repository = "home"
command = ["sh", "-c", "touch {one.folder}/begun; sleep 600"]
file = "dump"
[hooks.note]
command = ["sh", "-c", 'echo "$HOLDFAST_STATUS" > {one.folder}/noted']
[systems.shop]
sources = ["slow"]
after = ["note"]
"""
    one.write()
    handle = await client.start_workflow(
        SYSTEM_BACKUP_WORKFLOW,
        SystemBackupRequest(system="shop", policy=FAST, resolve_timeout_s=PATIENCE_S),
        id=f"system-backup:{one.name}:shop",
        task_queue=one.queue,
        result_type=SystemResult,
    )
    with running_worker(one.worker_config, log=one.folder / "worker.log"):
        await until_there(one.folder / "begun")
        if by_update:
            await handle.execute_update(CANCEL, Asked(by="anna"))
            assert (await handle.result()).status is RunStatus.CANCELLED
        else:
            await handle.cancel()
            with pytest.raises(WorkflowFailureError):
                await handle.result()
        member = await client.get_workflow_handle(f"backup:{one.name}:home:slow").describe()
    await replay(client, handle)
    assert member.status is WorkflowExecutionStatus.CANCELED
    assert (one.folder / "noted").read_text() == "cancelled\n"


def file_below(target: Path, original: Path) -> str:
    return (target / original.relative_to("/") / "file").read_text()


async def until_there(path: Path) -> None:
    while not await asyncio.to_thread(path.exists):
        await asyncio.sleep(0.05)

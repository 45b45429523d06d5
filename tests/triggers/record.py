"""Records the histories that test_replay.py replays: `python -m tests.triggers.record`."""

import asyncio
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Final

from temporalio.client import Client

from holdfast.contracts import identity
from holdfast.contracts.guard import APPROVE_UPDATE, GUARD_QUERY, Approval, GuardRequest, GuardStatus
from holdfast.contracts.verbs import GUARD_WORKFLOW
from holdfast.contracts.watch import Changes
from holdfast.control import requests
from holdfast.control.runs import is_open
from holdfast.control.schedules.declaration import Declaration, declarations
from holdfast.starter.watching.collector import report, watch_id
from holdfast.terms import RunKind
from tests.support.temporal_server import running_server
from tests.triggers.site import Site

HISTORIES: Final = Path(__file__).parent / "histories"
_PROCESS: Final = re.compile(r"\d+@[\w.-]+")
SETTINGS: Final = """
[sources.docs.watch]
quiet = "1s"
min_interval = "0s"
[sources.docs.guard]
on_missing = "restore"
[[sources.docs.schedules]]
name = "nightly"
cron = "0 3 * * *"
[systems.shop]
sources = ["docs"]
[[schedules]]
kind = "system"
system = "shop"
cron = "0 2 * * *"
"""


async def _watched(site: Site, client: Client) -> str:
    source = site.settings.source("docs")
    await report(client, site.settings, source, Changes(files=3, by="database"))
    name = watch_id(site.settings, source)
    await client.get_workflow_handle(name).result()
    return name


async def _scheduled(site: Site, client: Client) -> str:
    return await _due(client, declarations(site.settings)[0])


async def _system_scheduled(site: Site, client: Client) -> str:
    return await _due(client, declarations(site.settings)[1])


async def _due(client: Client, declared: Declaration) -> str:
    await client.execute_workflow("ScheduledRun", declared.order, id=declared.id, task_queue=declared.queue)
    return declared.id


async def _guarded(site: Site, client: Client) -> str:
    (site.source / "one").unlink()
    stat = (site.source / "two").stat()
    (site.source / "two").write_bytes(b"2ND")
    os.utime(site.source / "two", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    name = identity.workflow_id(RunKind.GUARD, site.settings.host, "home", "docs")
    handle = await client.start_workflow(
        GUARD_WORKFLOW,
        GuardRequest(repository="home", source="docs", policy=requests.run_policy(site.settings)),
        id=name,
        task_queue=site.queue,
    )
    status: GuardStatus = await handle.query(GUARD_QUERY, result_type=GuardStatus)
    while not status.waiting and await is_open(client, name):
        status = await handle.query(GUARD_QUERY, result_type=GuardStatus)
    await handle.execute_update(APPROVE_UPDATE, Approval(by="Ada", reason="compared by hand"))
    await handle.result()
    return name


async def _record(folder: Path, address: str) -> None:
    client = await Client.connect(address)
    site = Site(folder=folder / "site", address=address, host="mars")
    for name in ("one", "two"):
        (site.source / name).write_bytes(name.encode())
    site.declare(SETTINGS)
    with site.serving():
        for name, run in (
            ("watch", _watched),
            ("scheduled", _scheduled),
            ("scheduled-system", _system_scheduled),
            ("guard", _guarded),
        ):
            workflow_id = await run(site, client)
            history = (await client.get_workflow_handle(workflow_id).fetch_history()).to_json_dict()
            history["workflowId"] = workflow_id
            text = _PROCESS.sub("worker", json.dumps(history, indent=1, sort_keys=True))
            (HISTORIES / f"{name}.json").write_text(text + "\n")


def main() -> None:
    """Record everything."""
    HISTORIES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running_server() as address:
        asyncio.run(_record(Path(folder), address))


if __name__ == "__main__":
    main()

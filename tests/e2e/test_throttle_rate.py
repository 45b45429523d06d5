"""A throttled backup reads as fast as was asked for: within a tenth, measured on real runs of ten seconds and more."""

import asyncio
import os
from pathlib import Path
from typing import Final

import pytest
from temporalio.client import Client

from holdfast.contracts.backup import BackupRequest, BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW
from holdfast.contracts.control import THROTTLE, Throttle, ThrottleRequest
from holdfast.terms import VerifyLevel
from tests.support.comparison import MIB
from tests.support.hosts import Hosts
from tests.support.service import FAST

SECONDS: Final = 15
NS_PER_S: Final = 10**9


@pytest.mark.heavy
@pytest.mark.parametrize("rate_mib", [4, 16])
@pytest.mark.parametrize("files", [1, 600])
async def test_the_rate_is_kept_within_a_tenth(
    client: Client, server_address: str, tmp_path: Path, rate_mib: int, files: int
) -> None:
    hosts = Hosts(folder=tmp_path, address=server_address)
    host = hosts.one
    total = rate_mib * MIB * SECONDS
    folder = host.folder / "docs"
    folder.mkdir()
    for number in range(files):
        (folder / f"{number}").write_bytes(os.urandom(total // files))
    host.settings = f'[sources.docs]\nrepository = "home"\npaths = ["{folder}"]\n'
    host.write()
    handle = await client.start_workflow(
        BACKUP_WORKFLOW,
        BackupRequest(repository="home", source="docs", verify=VerifyLevel.NONE, policy=FAST),
        id=f"backup:{host.name}:home:docs",
        task_queue=host.queue,
        result_type=BackupResult,
    )
    await handle.signal(THROTTLE, ThrottleRequest(throttle=Throttle(bytes_per_second=rate_mib * MIB)))
    with host.serving():
        result = await handle.result()
        history = await handle.fetch_history()
    began = min(
        event.event_time.ToNanoseconds()
        for event in history.events
        if event.HasField("activity_task_started_event_attributes")
    )
    seconds = (result.ended_ns - began) / NS_PER_S
    rate = result.stored.bytes_read / seconds
    share = rate / (rate_mib * MIB)
    await asyncio.to_thread(
        print, f"asked {rate_mib} MiB/s, {files} files: {rate / MIB:.2f} MiB/s over {seconds:.1f} s"
    )
    assert 0.9 <= share <= 1.1

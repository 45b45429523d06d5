"""A program as a web console would be one: it starts, lists, steers and reads a run through control/ alone.

Its argument is a settings file; it prints one JSON document of what it saw, and whatever of the starter it has loaded.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Final

from temporalio.runtime import Runtime, TelemetryConfig

from holdfast.contracts.backup import BackupRequest
from holdfast.contracts.common import Trigger
from holdfast.contracts.control import PAUSE, RESUME, THROTTLE, Asked, Throttle, ThrottleRequest
from holdfast.contracts.identity import workflow_id
from holdfast.control import records, requests, runs, updates
from holdfast.control.journal import open_journal
from holdfast.control.listing import RunList, list_runs
from holdfast.control.start import begin
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import Settings
from holdfast.terms import RunKind
from holdfast.transport.client import open_client, read_credentials

SOURCE: Final = "docs"
SLOW: Final = Throttle(bytes_per_second=4 << 20)


async def main(settings: Settings) -> dict[str, object]:
    """Back a source up, with a pause in between."""
    address = settings.server.address or ""
    credentials = read_credentials(settings.server, os.environ)
    client = await open_client(settings.server, address, credentials, Runtime(telemetry=TelemetryConfig()))
    request = BackupRequest(
        repository="home", source=SOURCE, trigger=Trigger(by="console"), policy=requests.run_policy(settings)
    )
    run = workflow_id(RunKind.BACKUP, settings.host, "home", SOURCE)
    asked = Asked(by="console", reason="lunch")

    async def listed() -> RunList:
        return await list_runs(settings, os.environ, client)

    begun = await begin(client, settings, os.environ, request, run)
    found = (await listed()).find(SOURCE)
    await updates.ask(client, found, THROTTLE, ThrottleRequest(throttle=SLOW, asked=asked))
    answer = await updates.ask(client, found, PAUSE, asked)
    paused = (await listed()).find(SOURCE).status
    again = await begin(client, settings, os.environ, request, run)
    await updates.ask(client, found, THROTTLE, ThrottleRequest(asked=asked))
    await updates.ask(client, found, RESUME, asked)
    result = await runs.result_of(begun.handle, lambda: None)
    record = records.find_record(open_journal(settings, os.environ), result.run_id)
    return {
        "begun": [begun.joined, again.joined],
        "pause_reason": ""
        if answer.state is None or answer.state.pause is None
        else answer.state.pause.reason,
        "paused": paused,
        "ended": (await listed()).find(SOURCE).status,
        "record": records.document(settings, record),
        "of_the_starter": sorted(
            name for name in sys.modules if name.startswith(("holdfast.starter", "typer"))
        ),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(load_settings(Path(sys.argv[1]), os.environ)))))

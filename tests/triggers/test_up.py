"""`holdfast up` alone: the embedded server keeps schedules, and sources are watched."""

import asyncio
from pathlib import Path

from holdfast.service.journal.journal import Journal
from tests.triggers.site import Site

TRIGGERS = """
[[sources.docs.schedules]]
name = "often"
every = "5s"
[sources.docs.watch]
quiet = "1s"
min_interval = "0s"
"""


async def test_schedules_and_watches_work_while_it_runs(tmp_path: Path) -> None:
    site = Site(folder=tmp_path)
    (site.source / "first").write_bytes(b"content")
    site.declare(TRIGGERS)
    # No service is up: the command has a server of its own for as long as it lasts, and its database keeps what it did.
    await asyncio.to_thread(site.holdfast, "schedule", "apply", "--yes")
    journal = Journal.at(site.settings.journal_path)
    with site.serving():
        kinds: set[str] = set()
        number = 0
        while kinds != {"schedule", "event"}:
            number += 1
            (site.source / f"file-{number % 5}").write_bytes(bytes(number))
            await asyncio.sleep(0.5 if number % 8 else 3)
            kinds = {run.trigger_kind for run in journal.runs(50) if run.ended_ns}

"""The engine in a process of its own, without Temporal: what strace injects faults into, and what a kill can hit.

`python -m tests.support.engine_process backup REPOSITORY SOURCE`, `… restore REPOSITORY TARGET`, `… prune REPOSITORY`
make one run, or go on with it, and print what came of it as one line of JSON: `{"error": "StorageFullError"}` for a
typed error, whose message and hint follow as "text".

A restore has small sizes, so that each page, shard, segment and batch of it can be hit. Its shards run in the main
thread, because strace counts the calls of each thread by itself.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Final

from holdfast.errors import HoldfastError
from holdfast.repository.session import RepositorySession
from holdfast.restore.finish.finish import finish
from holdfast.restore.opening import open_restore
from holdfast.restore.plan.select import select_page
from holdfast.restore.plan.space import check_space
from holdfast.restore.request import RestoreOptions
from holdfast.restore.run import RestoreRun
from holdfast.restore.shard.shard import restore_shard_now
from holdfast.restore.verify import verify_restored
from holdfast.runs.opening import close_run
from holdfast.runs.progress import Stop
from tests.support.engine import EngineRun, nothing, open_session
from tests.support.pruning import Pruning, everything

RUN_ID: Final = "the-run"


def backup(repository: Path, source: Path, *, run_id: str = RUN_ID) -> dict[str, object]:
    """One backup of `source`, from its opening to the removal of its workspace; repeated, it goes on."""
    with open_session(repository) as session:
        run = EngineRun.of(session, source, run_id=run_id)
        if run.open().finished is not None:
            close_run(run.backup.workspace)
            return {"errors": 0, "finished": True}
        result = run.run(close=False)
        close_run(run.backup.workspace)
        return {
            "errors": result.totals.errors,
            "files": result.totals.files,
            "bytes": result.totals.bytes_total,
        }


def restore(
    repository: Path, target: Path, *, run_id: str = RUN_ID, subfolder: Path | None = None
) -> dict[str, object]:
    """The newest snapshot (or what is below `subfolder` in it) into `target`, verified; repeated, it goes on."""
    snapshot = "latest" if subfolder is None else f"latest:{subfolder}"
    options = RestoreOptions(snapshot=snapshot, target=os.fsencode(target))
    closing = target.with_name(f"{run_id}-is-closing")  # what a workflow would know from its history
    with open_session(repository, small=True) as session:
        if closing.exists():
            with session.hold() as held:
                close_run(RestoreRun(held=held, run_id=run_id, options=options).workspace)
            return {"partial": False, "errors": 0, "ok": True}
        return _restore(session, run_id, options, closing)


def _restore(
    session: RepositorySession, run_id: str, options: RestoreOptions, closing: Path
) -> dict[str, object]:
    with session.hold() as held:
        run = RestoreRun(held=held, run_id=run_id, options=options)
        open_restore(run)
        pages = [select_page(run, 0)]
        while not pages[-1].last:
            pages.append(select_page(run, len(pages)))
        shards = sum(page.shards for page in pages)
        check_space(run, sum(page.counts.bytes_to_write for page in pages))
        for shard in range(shards):
            restore_shard_now(run, shard, nothing, Stop())
        finished = finish(run, len(pages), shards, nothing)
        verified = asyncio.run(verify_restored(run, len(pages), nothing))
        if verified.ok and not finished.partial:
            closing.touch()
        close_run(run.workspace)
    return {"partial": finished.partial, "errors": finished.errors_of_run, "ok": verified.ok}


def prune(repository: Path) -> dict[str, object]:
    """One prune that leaves nothing unused, from its opening to the removal of its workspace; repeated, it goes on."""
    with open_session(repository, small=True) as session:
        report = Pruning(session, order=everything(repack_small=False)).run()
        return {"deleted": report.deleted_packs, "left": report.left}


def main() -> None:
    """See the module."""
    verb, repository, *places = sys.argv[1:]
    place, more = (places[0], places[1:]) if places else ("", [])
    try:
        if verb == "prune":
            answer = prune(Path(repository))
        elif verb == "backup":
            answer = backup(Path(repository), Path(place), run_id=more[0] if more else RUN_ID)
        else:
            answer = restore(Path(repository), Path(place), subfolder=Path(more[0]) if more else None)
    except HoldfastError as error:
        answer = {"error": type(error).__name__, "text": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()

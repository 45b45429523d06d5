"""The activities of the cleanup: what nobody goes on with goes; runs/janitor.py has the protocol."""

import asyncio
import concurrent.futures
import logging
from typing import Final

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from holdfast.activities.calls import EngineCall
from holdfast.activities.steps import Activities, async_step
from holdfast.contracts.cleanup import (
    CLEAN_REPOSITORY,
    CLEAN_SCRATCH,
    CleanedRun,
    CleanInput,
    RepositoryCleaned,
    ScratchCleaned,
)
from holdfast.contracts.identity import workflow_of
from holdfast.contracts.verbs import DRILL_WORKFLOW
from holdfast.drill.scratch import old_scratch, remove_scratch
from holdfast.errors import RepositoryLockedError, ServerUnavailableError
from holdfast.runs.janitor import IsOpen, OldRun, removable_runs, remove_old_runs

_SHOWN_RUNS: Final = 100
_ANSWER_S: Final = 30.0
_OPEN_DRILLS: Final = f'WorkflowType = "{DRILL_WORKFLOW}" AND ExecutionStatus = "Running"'
_LOG: Final = logging.getLogger(__name__)


class CleanupActivities(Activities):
    """Over the services of this process. Everything may be done twice: what has gone is not there."""

    @async_step(CLEAN_REPOSITORY)
    async def clean(self, message: CleanInput, call: EngineCall) -> RepositoryCleaned:
        """Remove old workspaces whose runs are not open, and temporary files of crashes."""
        is_open = _asking(activity.client(), asyncio.get_running_loop(), call)
        return await call.in_thread(lambda: self._clean(message, is_open, call))

    @async_step(CLEAN_SCRATCH)
    async def scratch(self, message: CleanInput, call: EngineCall) -> ScratchCleaned:
        """Remove what killed drills have restored on this host, while no drill runs."""
        try:
            drills = await activity.client().count_workflows(_OPEN_DRILLS)
        except RPCError as error:
            raise _unavailable(error) from error
        if drills.count:
            return ScratchCleaned(folders=0)
        return await call.in_thread(lambda: self._scratch(message, call))

    def _clean(self, message: CleanInput, is_open: IsOpen, call: EngineCall) -> RepositoryCleaned:
        settings = self._services.settings.cleanup
        session = self._services.session(message.repository)
        if not session.locked:
            return RepositoryCleaned(
                repository=message.repository
            )  # it is only read: nothing of ours is in it
        repository = session.repository
        leftovers = sum(
            storage.remove_leftovers(older_than_s=settings.leftovers_after_s, dry_run=message.dry_run)
            for storage in repository.storages
        )
        gone: list[OldRun] = []
        in_use = False
        if message.dry_run:
            gone = removable_runs(repository, older_than_s=settings.runs_after_s, is_open=is_open)
        else:

            def removed(old: OldRun) -> None:
                gone.append(old)
                call.check()

            try:
                remove_old_runs(
                    repository, older_than_s=settings.runs_after_s, is_open=is_open, on_removed=removed
                )
            except RepositoryLockedError:
                in_use = True
        if gone or leftovers:
            _LOG.info("%d abandoned runs and %d temporary files of crashes", len(gone), leftovers)
        return RepositoryCleaned(
            repository=message.repository,
            runs=tuple(
                CleanedRun(
                    run_id=old.run_id, size_bytes=old.stored.size_bytes, written_ns=old.stored.newest_ns
                )
                for old in gone[:_SHOWN_RUNS]
            ),
            run_count=len(gone),
            run_bytes=sum(old.stored.size_bytes for old in gone),
            leftovers=leftovers,
            in_use=in_use,
        )

    def _scratch(self, message: CleanInput, call: EngineCall) -> ScratchCleaned:
        settings = self._services.settings
        folders = old_scratch(settings.scratch_dir, older_than_s=settings.cleanup.leftovers_after_s)
        if not message.dry_run:
            for folder in folders:
                remove_scratch(folder, call.check)
        return ScratchCleaned(folders=len(folders))


def _asking(client: Client, loop: asyncio.AbstractEventLoop, call: EngineCall) -> IsOpen:
    """Asks the server from the engine's thread. What it answers is true at that moment, unlike a list of workflows."""

    async def ask(workflow_id: str) -> bool:
        try:
            description = await client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise _unavailable(error) from error
        return description.status is WorkflowExecutionStatus.RUNNING

    def is_open(run_id: str) -> bool:
        call.check()
        asking = asyncio.run_coroutine_threadsafe(ask(workflow_of(run_id)), loop)
        try:
            return asking.result(_ANSWER_S)
        except concurrent.futures.TimeoutError as error:
            asking.cancel()
            raise ServerUnavailableError("the server does not say whether a run is open") from error

    return is_open


def _unavailable(error: RPCError) -> ServerUnavailableError:
    return ServerUnavailableError(f"the server does not say what is open: {error.status.name.lower()}")

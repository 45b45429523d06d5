"""The cleanup: one repository after the other, then the scratch directory. A schedule starts it each day.

A repository that cannot be cleaned keeps no other from it. One that is in use is looked at again later, a few times:
its exclusive lock is free between two backups, and tomorrow is another day.
"""

import asyncio
from typing import Final, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from holdfast.contracts.cleanup import (
    CLEAN_REPOSITORY,
    CLEAN_SCRATCH,
    CLEANUP_WORKFLOW,
    CleanInput,
    CleanupRequest,
    CleanupResult,
    RepositoryCleaned,
    ScratchCleaned,
)
from holdfast.terms import RunStatus
from holdfast.workflows.failures import failure_of
from holdfast.workflows.policies import ActivityCalls

_ATTEMPTS: Final = 3
_AGAIN_S: Final = 900
ResultT = TypeVar("ResultT")


@workflow.defn(name=CLEANUP_WORKFLOW)
class CleanupWorkflow:
    """One cleanup of the repositories of one worker's settings."""

    @workflow.run
    async def run(self, request: CleanupRequest) -> CleanupResult:
        """Clean, and say what went."""
        self._request = request
        cleaned = [await self._clean(repository) for repository in request.repositories]
        scratch = await self._call(CLEAN_SCRATCH, "", ScratchCleaned, "remove what killed drills have left")
        is_whole = not any(found.in_use or found.failure for found in cleaned)
        return CleanupResult(
            status=RunStatus.COMPLETE if is_whole else RunStatus.PARTIAL,
            repositories=tuple(cleaned),
            scratch=scratch.folders,
            dry_run=request.dry_run,
        )

    async def _clean(self, repository: str) -> RepositoryCleaned:
        found = await self._clean_once(repository)
        for _ in range(self._request.tries - 1):
            if not found.in_use:
                break
            await asyncio.sleep(_AGAIN_S)
            found = await self._clean_once(repository)
        return found

    async def _clean_once(self, repository: str) -> RepositoryCleaned:
        try:
            return await self._call(
                CLEAN_REPOSITORY, repository, RepositoryCleaned, f"clean up in {repository}"
            )
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            failure = failure_of(error)
            return RepositoryCleaned(
                repository=repository, failure_kind=failure.kind, failure=failure.message
            )

    async def _call(self, name: str, repository: str, result: type[ResultT], summary: str) -> ResultT:
        policy = self._request.policy
        message = CleanInput(repository=repository, dry_run=self._request.dry_run)
        return await ActivityCalls(policy=policy).tried(
            name, message, result, summary, timeout_s=policy.shard_timeout_s, attempts=_ATTEMPTS
        )

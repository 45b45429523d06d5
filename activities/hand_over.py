"""Runs of ours hand their locks over: they stand at a checkpoint while something short needs the exclusive lock.

What needs that lock asks each open run of the repository, by signal, to stand aside, and tries to take it at once.
That the runs stand needs no answer: the lock can be had when the last of theirs has gone, and not before. So what is
asked here serves speed alone, and safety is the lock's: a run that does not hear it, hears it late, or goes on too soon
keeps its own lock, or finds the exclusive one, and either of the two waits.

    1. runs are asked to stand for STAND_S; those that begin later are found by the next look, a second on;
    2. what was asked is asked again while it is needed, well before it ends;
    3. at the end they are told to go on. Killed before that, they go on by themselves, at most STAND_S later.

Runs are found by the search attribute that has the repository's alias, so whatever their hosts call the repository and
wherever it lies for them. Those that cannot stand (a guard's comparison, a drill's sample) do not have it: their locks
are waited for, like those of other programs, and of runs that this server does not know.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from holdfast.contracts.control import REPOSITORY_ATTRIBUTE, STAND_ASIDE, StandAside
from holdfast.contracts.verbs import VERBS
from holdfast.units import NS_PER_S

STAND_S: Final = 60
_LOOK_S: Final = 1.0
_AGAIN_S: Final = STAND_S / 3
_MOST_RUNS: Final = 1_000
_TIMEOUT: Final = timedelta(seconds=10)
_WORKFLOWS: Final = ", ".join(f"'{verb.workflow}'" for verb in VERBS if verb.steered)
_LOG: Final = logging.getLogger(__name__)

Run = tuple[str, str]
"""A workflow's id, and that of one run of it."""


def server_clock() -> Callable[[], int]:
    """The server's time in nanoseconds, as an activity knows it: when it was started, and what has passed since."""
    begun_ns = round(activity.info().started_time.timestamp() * NS_PER_S)
    offset_ns = begun_ns - time.monotonic_ns()
    return lambda: time.monotonic_ns() + offset_ns


class StandingRuns:
    """The runs that were asked to stand aside. Its `count` grows while runs are found.

    stood_s: for how long they stood, from the first that was asked on; once they were let go.
    """

    def __init__(self, client: Client, alias: str, stand: StandAside, now_ns: Callable[[], int]) -> None:
        self._client = client
        self._alias = alias
        self._stand = stand
        self._now_ns = now_ns
        self._asked: dict[Run, int] = {}
        self._began = 0.0
        self.stood_s = 0.0

    @property
    def count(self) -> int:
        """How many have been asked so far."""
        return len({workflow for workflow, _ in self._asked})

    async def keep_asking(self, wanted: asyncio.Event | None) -> None:
        """Ask all that there are, and those that come, until cancelled; from the moment on when that is wanted."""
        if wanted is not None:
            await wanted.wait()
        self._began = time.monotonic()
        while True:
            try:
                await self._ask(await self._open_runs())
            except RPCError as error:
                _LOG.warning("runs could not be asked to stand aside: %s", error.status.name.lower())
            await asyncio.sleep(_LOOK_S)

    async def let_go(self) -> None:
        """Tell all of them to go on. One that does not hear it goes on by itself."""
        workflows = {workflow for workflow, _ in self._asked}
        await asyncio.gather(*(self._tell(workflow, None, until_ns=0) for workflow in workflows))
        self.stood_s = time.monotonic() - self._began if self._began else 0.0

    async def _ask(self, runs: Sequence[Run]) -> None:
        now_ns = self._now_ns()
        due = [run for run in runs if self._asked.get(run, 0) <= now_ns]
        until_ns = now_ns + STAND_S * NS_PER_S
        self._asked |= dict.fromkeys(due, now_ns + round(_AGAIN_S * NS_PER_S))
        await asyncio.gather(*(self._tell(*run, until_ns=until_ns) for run in due))

    async def _tell(self, workflow: str, run: str | None, *, until_ns: int) -> None:
        """Without a run, the newest of the workflow: it may have gone on in a new history."""
        stand = StandAside(by=self._stand.by, what_for=self._stand.what_for, until_ns=until_ns)
        try:
            handle = self._client.get_workflow_handle(workflow, run_id=run)
            await handle.signal(STAND_ASIDE, stand, rpc_timeout=_TIMEOUT)
        except RPCError as error:  # mostly it has just ended
            _LOG.info("%s was not reached: %s", workflow, error.status.name.lower())

    async def _open_runs(self) -> list[Run]:
        query = (
            f"{REPOSITORY_ATTRIBUTE} = '{self._alias}' AND ExecutionStatus = 'Running' "
            f"AND WorkflowType IN ({_WORKFLOWS})"
        )
        found = self._client.list_workflows(query, limit=_MOST_RUNS)
        own = self._stand.by
        return [(run.id, run.run_id) async for run in found if run.id != own]


@asynccontextmanager
async def handed_over(
    client: Client,
    alias: str,
    *,
    by: str,
    what_for: str,
    now_ns: Callable[[], int],
    wanted: asyncio.Event | None = None,
) -> AsyncIterator[StandingRuns]:
    """Have the runs of a repository stand aside inside of the block.

    alias: the repository's. by: the workflow that asks, which itself is not asked. now_ns: the server's clock.
    wanted: set when they are to be asked, because a lock that is free needs nobody to stand; None for at once.
    """
    runs = StandingRuns(client, alias, StandAside(by=by, what_for=what_for), now_ns)
    asking = asyncio.create_task(runs.keep_asking(wanted))
    try:
        yield runs
    finally:
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        await asyncio.shield(runs.let_go())

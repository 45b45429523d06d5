"""The activities of a prune. Each is one engine operation, safe to run twice, at once, or late."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final
from weakref import WeakKeyDictionary

from temporalio import activity

from holdfast.activities import prune_records
from holdfast.activities.calls import EngineCall
from holdfast.activities.hand_over import StandingRuns, handed_over, server_clock
from holdfast.activities.services import Services
from holdfast.activities.steps import Activities, Queues, async_step, step
from holdfast.activities.throttle import pace_of
from holdfast.contracts import names
from holdfast.contracts.common import RunInput, RunRef
from holdfast.contracts.prune import (
    LocksSeen,
    LockWait,
    MarkedSeen,
    PruneLogInput,
    PruneOpened,
    PrunePlanned,
    PruneRequest,
    PruneTotals,
    PruneTriggerInput,
    Switched,
    SwitchTried,
)
from holdfast.contracts.runs import ShardInput
from holdfast.errors import HoldfastError, RepositoryLockedError
from holdfast.ids import from_hex
from holdfast.prune import documents
from holdfast.prune.delete import delete_batch
from holdfast.prune.documents import PruneOrder, PrunePlan, PruneRun, Root
from holdfast.prune.kept import tidy
from holdfast.prune.mark import mark_shard
from holdfast.prune.marked import Watched, watch_marked
from holdfast.prune.opening import open_prune
from holdfast.prune.plan import plan_prune
from holdfast.prune.repack import repack_shard
from holdfast.prune.switch import switch
from holdfast.repository.documents import load
from holdfast.repository.lock_files import StandingLock, standing_locks
from holdfast.repository.repository import Repository
from holdfast.repository.reserve import drawing_on_reserve, keep_reserve
from holdfast.repository.session import RepositorySession
from holdfast.retention.bin import bin_roots, empty_bin
from holdfast.retention.holds import open_alarms
from holdfast.runs.opening import OPENING, close_run
from holdfast.service.journal.proofs import proofs

WHAT_FOR: Final = "a prune's short part"
_LOG: Final = logging.getLogger(__name__)
_UNLIMITED: Final = "unlimited"
_HAND_OVER_S: Final = 60.0
"""For runs of ours to stand; longer than a heartbeat, a checkpoint and the linger of a lock take."""
_FOREIGN_S: Final = 3.0
_STEP_S: Final = 0.5
"""Between two looks at the locks: nothing tells when one goes, and each look is a request or two."""
_LOOK_S: Final = 2.0
_MS: Final = 1000


class PruneActivities(Activities):
    """The prune's activities over the services of this process."""

    def __init__(self, services: Services, executor: Executor) -> None:
        super().__init__(services, executor)
        self._drawing: WeakKeyDictionary[RepositorySession, RepositorySession] = WeakKeyDictionary()
        """The sessions of runs that may take from the reserve, by those of all others."""

    @step(names.TRIGGER_PRUNE)
    def trigger(self, message: PruneTriggerInput, call: EngineCall) -> PruneOpened:
        """Open the run and write the journal's first record."""
        name, settings = message.run.repository, self._services.settings.prune
        self._services.begin_run(name)
        run = self._run(message.run, sparing=message.request.unused_only)
        if run.session.locked and not message.request.dry_run:
            empty_bin(run.session.repository, message.started_ns)
        opened = open_prune(
            run,
            self._order(run.session.repository, message.request),
            message.started_ns,
            host=self._services.host,
            progress=call.progress_of(0),
        )
        self._services.journal.record(prune_records.begun(message, host=self._services.host))
        return PruneOpened(
            snapshots=opened.snapshots,
            shards=opened.shards,
            approval_s=settings.approval_s,
            wait_s=settings.wait_s,
            keep_marked_s=settings.keep_marked_s,
            tell=self._services.tells_of(""),
            alias=self._services.alias(name),
        )

    @step(names.MARK_PRUNE, Queues.COPY)
    def mark(self, message: ShardInput, call: EngineCall) -> PruneTotals:
        """Mark what the snapshots of a shard use."""
        done = mark_shard(self._run(message.run), message.shard, call.progress_of(message.shard))
        return PruneTotals(trees=done.trees)

    @step(names.PLAN_PRUNE)
    def plan(self, message: RunInput, call: EngineCall) -> PrunePlanned:
        """Decide which packs go."""
        plan = plan_prune(self._run(message.run), call.progress_of(0))
        return PrunePlanned(
            shards=plan.shards,
            last=True,
            packs=plan.total.packs,
            bytes_total=plan.total.size_bytes,
            drop_packs=plan.drop.packs,
            drop_bytes=plan.drop.size_bytes,
            unnamed_packs=plan.unnamed.packs,
            unnamed_bytes=plan.unnamed.size_bytes,
            repack_packs=plan.move.packs,
            repack_bytes=plan.move.size_bytes,
            bytes_to_move=plan.moved_bytes,
            bytes_freed=plan.freed_bytes,
            bytes_unused=plan.left_unused_bytes,
            requests=plan.requests,
            damaged_packs=plan.damaged,
            ask=_question(plan, self._services.settings.prune.approve_over),
        )

    @step(names.REPACK_PRUNE, Queues.COPY)
    def repack(self, message: ShardInput, call: EngineCall) -> PruneTotals:
        """Copy what is used out of the packs of a shard."""
        done = repack_shard(
            self._run(message.run),
            message.shard,
            call.progress_of(message.shard),
            pace_of(message.throttle),
        )
        return PruneTotals(
            blobs=done.blobs,
            bytes_read=done.bytes_read,
            packs_written=done.packs_written,
            bytes_written=done.bytes_written,
            damaged_blobs=len(done.damaged),
        )

    @async_step(names.WAIT_PRUNE)
    async def wait(self, message: LockWait, call: EngineCall) -> LocksSeen:
        """Wait until the exclusive lock may be tried for, or something is new about who holds a lock."""
        repository = (await call.in_thread(lambda: self._run(message.run))).session.repository
        until = time.monotonic() + message.within_s
        while True:
            standing = await call.in_thread(lambda: standing_locks(repository))
            holders = _in_the_way(standing, message.stayed)
            if not holders or set(holders) != set(message.known) or time.monotonic() > until:
                return LocksSeen(holders=holders)
            await asyncio.sleep(_LOOK_S)

    @async_step(names.SWITCH_PRUNE)
    async def switch(self, message: RunInput, call: EngineCall) -> SwitchTried:
        """Have the index name no more what goes; runs of ours stand aside while the lock is not to be had."""
        run = await call.in_thread(lambda: self._run(message.run))
        repository = run.session.repository
        loop, wanted, foreign = asyncio.get_running_loop(), asyncio.Event(), _ForeignLocks(repository)

        def on_wait() -> None:
            loop.call_soon_threadsafe(wanted.set)
            call.check()
            foreign.look()

        async with self._handed_over(repository, wanted) as runs:
            try:
                done = await call.in_thread(
                    lambda: switch(
                        run,
                        call.progress_of(0),
                        roots=lambda: _binned(repository),
                        alarm=lambda: _alarm(repository),
                        wait_s=_HAND_OVER_S,
                        on_wait=on_wait,
                    )
                )
            except RepositoryLockedError:
                return await call.in_thread(lambda: _held(repository))
        stood_ms = round(runs.stood_s * _MS)
        return SwitchTried(switched=replace(_switched(done), runs=runs.count, stood_ms=stood_ms))

    @async_step(names.WATCH_PRUNE)
    async def watch(self, message: RunInput, call: EngineCall) -> MarkedSeen:
        """Mark what goes, where no moment came; take back what is used, and look whether the rest can be deleted.

        Processes of ours that had a lock at the marking give it up once, so that they are not waited for.
        """
        run = await call.in_thread(lambda: self._run(message.run))
        repository = run.session.repository

        def look() -> Watched:
            return watch_marked(
                run,
                call.progress_of(0),
                roots=lambda: _binned(repository),
                kept_s=self._services.settings.prune.keep_marked_s,
            )

        seen = await call.in_thread(look)
        ours = await call.in_thread(lambda: _processes(repository))
        if ours.intersection(seen.standing):
            async with self._handed_over(repository):
                await call.in_thread(lambda: _until_gone(repository, call.check))
                seen = await call.in_thread(look)
        return MarkedSeen(
            switched=None if seen.switched is None else _switched(seen.switched),
            standing=seen.standing,
            ready_ns=seen.ready_ns,
        )

    @step(names.DELETE_PRUNE, Queues.COPY)
    def delete(self, message: ShardInput, call: EngineCall) -> PruneTotals:
        """Delete the packs of a batch."""
        run = self._run(message.run)
        done = delete_batch(
            run,
            message.shard,
            call.progress_of(message.shard),
            alarm=lambda: _alarm(run.session.repository),
        )
        return PruneTotals(
            deleted_packs=done.packs,
            bytes_deleted=done.size_bytes,
            spared_packs=done.spared,
            left_packs=done.left,
        )

    @step(names.LOG_PRUNE)
    def log(self, message: PruneLogInput, _: EngineCall) -> None:
        """Write the run's record; remove the workspace at the end of all."""
        run = self._run(message.run)
        self._services.journal.record(prune_records.ended(message, host=self._services.host))
        if message.close:
            if message.progress.plan is not None and run.workspace.has(
                OPENING
            ):  # else closed by an earlier attempt
                tidy(run)
            if not message.request.dry_run:
                self._keep_reserve(message.run)
            close_run(run.workspace)
            self._services.end_run(message.run.repository)

    def _order(self, repository: Repository, request: PruneRequest) -> PruneOrder:
        settings = self._services.settings.prune
        most = request.max_repack_bytes
        most = settings.max_repack_bytes if most is None else most
        return PruneOrder(
            max_unused=request.max_unused or settings.max_unused,
            max_repack=_UNLIMITED if most is None else str(most),
            full_disk=request.unused_only,
            roots=_binned(repository),
            verified_ns=proofs(self._services.journal.journal, request.repository).verified_before_ns,
            alarm=_alarm(repository),
        )

    def _handed_over(
        self, repository: Repository, wanted: asyncio.Event | None = None
    ) -> AbstractAsyncContextManager[StandingRuns]:
        return handed_over(
            activity.client(),
            repository.alias,
            by=activity.info().workflow_id or "",
            what_for=WHAT_FOR,
            now_ns=server_clock(),
            wanted=wanted,
        )

    def _run(self, ref: RunRef, *, sparing: bool = False) -> PruneRun:
        """The run. sparing: it may take from the reserve, as those after the first step know from its opening."""
        session = self._services.session(ref.repository)
        run = PruneRun(session=session, run_id=ref.run_id)
        if session.repository.storage.traits.directory is None or not session.locked:
            return run
        opening = load(run.workspace, OPENING, documents.Opening)
        if not (sparing or (opening is not None and opening.order.full_disk)):
            return run
        drawing = self._drawing.get(session)
        if drawing is None:
            drawing = self._drawing[session] = RepositorySession(
                drawing_on_reserve(session.repository), pack_size_bytes=session.pack_size_bytes
            )
        return PruneRun(session=drawing, run_id=ref.run_id)

    def _keep_reserve(self, ref: RunRef) -> None:
        """Leave a reserve for the prune of a full disk. It is for later, so nothing that goes wrong ends this run."""
        session = self._services.session(ref.repository)
        if not session.locked:
            return
        try:
            with session.hold() as held:
                blobs = len(held.index)
            keep_reserve(session.repository, blobs)
        except HoldfastError as error:
            _LOG.warning("no reserve could be kept for a full disk: %s", error.message)


class _ForeignLocks:
    """Ends the wait for the exclusive lock where another program has come: runs of ours would stand for nothing."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._since: float | None = None

    def look(self) -> None:
        """Raises RepositoryLockedError when such a lock has stood for a while: some are gone in a moment."""
        holders = _in_the_way(standing_locks(self._repository), ())
        now = time.monotonic()
        self._since = None if not holders else now if self._since is None else self._since
        if self._since is not None and now - self._since > _FOREIGN_S:
            raise RepositoryLockedError(f"{self._repository.storage.location}: in use by {holders[0]}")


def _binned(repository: Repository) -> tuple[Root, ...]:
    """What counts as used because it can be taken back."""
    return tuple(Root(from_hex(stored.snapshot.tree)) for stored in bin_roots(repository))


def _alarm(repository: Repository) -> str:
    """What the first open alarm says; empty where there is none."""
    alarms = open_alarms(repository)
    return f"{alarms[0].source}: {alarms[0].alarm}" if alarms else ""


def _question(plan: PrunePlan, approve_over: float) -> str:
    """Why a person has to approve; empty where nobody has to."""
    everything = plan.total.size_bytes + plan.unnamed.size_bytes
    share = plan.freed_bytes / everything if everything else 0.0
    return f"{share:.0%} of the repository would go" if share > approve_over else ""


def _in_the_way(standing: list[StandingLock], stayed: tuple[str, ...]) -> tuple[str, ...]:
    """The holders of locks for which it is of no use to ask runs of ours: other programs', and those that stayed."""
    return tuple(sorted(lock.holder for lock in standing if not lock.process or lock.process in stayed))


def _switched(done: documents.Switched) -> Switched:
    return Switched(
        shards=done.batches,
        packs=done.packs,
        size_bytes=done.size_bytes,
        taken_back=done.taken_back,
        unnamed_packs=done.unnamed,
        unnamed_bytes=done.unnamed_bytes,
        locked_ms=round(done.alone_s * _MS),
    )


def _processes(repository: Repository) -> set[str]:
    """The processes of ours that have a lock."""
    return {lock.process for lock in standing_locks(repository) if lock.process}


def _until_gone(repository: Repository, check: Callable[[], None]) -> None:
    """Wait until they have none, or for as long as runs stand."""
    until = time.monotonic() + _HAND_OVER_S
    while _processes(repository) and time.monotonic() < until:
        check()
        time.sleep(_STEP_S)


def _held(repository: Repository) -> SwitchTried:
    standing = standing_locks(repository)
    return SwitchTried(
        holders=tuple(sorted(lock.holder for lock in standing)),
        stayed=tuple(sorted({lock.process for lock in standing if lock.process})),
    )

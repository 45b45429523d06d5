"""The activities of a backup. Each is one engine operation, safe to run twice, at once, or late."""

import contextlib
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from holdfast import heap
from holdfast.activities import answers, records
from holdfast.activities.answers import check_follows
from holdfast.activities.calls import EngineCall
from holdfast.activities.hooks import hook_refs
from holdfast.activities.steps import Activities, Queues, async_step, step
from holdfast.activities.throttle import pace_of
from holdfast.activities.turns import own_turn
from holdfast.activities.veil import roots_by_number
from holdfast.backup.commit.commit import commit_run
from holdfast.backup.opening import BackupOrder, open_backup, run_tag
from holdfast.backup.plan.select import select_page
from holdfast.backup.report import file_records, written_packs
from holdfast.backup.run import BackupRun
from holdfast.backup.store.shard import store_shard
from holdfast.contracts import names
from holdfast.contracts.backup import (
    BackupOpened,
    BackupRequest,
    CommitInput,
    Committed,
    LogInput,
    PageSelected,
    TriggerInput,
)
from holdfast.contracts.common import CloseInput, RunRef, Verdict
from holdfast.contracts.identity import is_token
from holdfast.contracts.runs import PlanInput, SelectInput, ShardInput, VerifyInput
from holdfast.contracts.system import MEMBER_TAG, SYSTEM_RUN_TAG, SYSTEM_TAG
from holdfast.errors import UsageError
from holdfast.format.tags import OWN
from holdfast.ids import PackId, SnapshotId, from_hex
from holdfast.repository.snapshots import find_snapshot
from holdfast.runs.opening import close_run
from holdfast.runs.plan import MissingResultError
from holdfast.service.settings.called import called
from holdfast.source.spec import SourceSpec
from holdfast.terms import RunStatus, StoredTotals, VerifyLevel
from holdfast.verify.snapshot import verify_snapshot

_TAGS_OF_SYSTEMS: Final = (SYSTEM_TAG, MEMBER_TAG, SYSTEM_RUN_TAG)


class BackupActivities(Activities):
    """The backup's activities over the services of this process."""

    @step(names.TRIGGER_BACKUP)
    def trigger(self, message: TriggerInput, _: EngineCall) -> BackupOpened:
        """Open the run and write the journal's first record."""
        self._services.begin_run(message.run.repository)
        order = self._order(message.request, message.started_ns)
        opened = open_backup(self._run(message.run), order, is_new=not message.request.resume_run)
        begun = records.backup_begun(
            message, opened.opening, host=order.host, source_digest=order.spec.digest
        )
        self._services.journal.record(begun)
        tell = self._services.tells_of(message.request.source)
        source = self._services.source(message.request.source)
        settings = self._services.settings
        openly = settings.server.ui_names and is_token(message.request.source)
        return replace(
            answers.opened(opened, host=order.host, tell=tell),
            # a stream has no middle: its lock is waited for
            alias="" if order.spec.is_stream else self._services.alias(message.run.repository),
            called=called(source.spec.roots, openly=True) if openly else "",
            before=hook_refs(settings, source.before),
            after=hook_refs(settings, source.after),
        )

    @step(names.SELECT_PAGE)
    def select(self, message: SelectInput, call: EngineCall) -> PageSelected:
        """Plan one page of the walk."""
        run, spec = self._resolved(message.run)
        with roots_by_number(spec.roots):
            page = select_page(run, spec, message.page, lambda _entries, _bytes: call.check())
        check_follows(page, message.page, message.first_shard)
        return PageSelected(
            shards=page.shards,
            last=page.last,
            totals=page.totals,
        )

    @async_step(names.STORE_SHARD, Queues.COPY)
    async def store(self, message: ShardInput, call: EngineCall) -> StoredTotals:
        """Store one shard."""
        run, spec = await call.in_thread(lambda: self._resolved(message.run))
        stored = await store_shard(
            run,
            spec,
            message.shard,
            call.progress_of(message.shard),
            pace=pace_of(message.throttle),
            claims=self._services.claims,
            on_read=own_turn(),
        )
        return stored.totals

    @step(names.COMMIT_SNAPSHOT, Queues.LIGHT | Queues.COPY)
    def commit(self, message: CommitInput, _: EngineCall) -> Committed:
        """Write the snapshot, or say what must be done again first."""
        run = self._run(message.run)
        finished = message.opened.finished_snapshot
        if finished:
            snapshot = find_snapshot(run.session.repository, finished).snapshot
            return answers.committed_before(finished, snapshot)
        order = self._order(message.request, message.started_ns)
        heap.give_back()  # the holes that the shards left: what follows has much at hand
        outcome = commit_run(run, order, message.pages, message.shards)
        return answers.committed(outcome)

    @step(names.LIST_FILES, Queues.COPY)
    def list_files(self, message: PlanInput, call: EngineCall) -> None:
        """Write what became of each file into the journal, while the snapshot is written."""
        # The commit finds the same shard missing, has it stored again, and this list is written again.
        with contextlib.suppress(MissingResultError):
            self._write_files(message, call)

    @step(names.LOG_BACKUP)
    def log(self, message: LogInput, call: EngineCall) -> None:
        """Write the run's record. Only a run that has its snapshot keeps a list of files."""
        journal, status = self._services.journal, message.ending.status
        pages, shards = message.progress.pages_done, message.progress.shards_planned
        if message.committed is not None and status in (RunStatus.COMPLETE, RunStatus.PARTIAL):
            self._check_snapshot(message.run, message.committed.snapshot_id)
        journal.record(records.backup_ended(message, host=self._services.host))
        if not pages:
            return
        if message.committed is None:
            journal.add_files(message.run.record_id, ())
        elif status in (RunStatus.FAILED, RunStatus.CANCELLED):  # it may have ended before its list was whole
            self._write_files(PlanInput(run=message.run, pages=pages, shards=shards), call)

    @async_step(names.VERIFY_BACKUP)
    async def verify(self, message: VerifyInput, call: EngineCall) -> Verdict:
        """Verify the snapshot and add the verdict to the record."""
        run = await call.in_thread(lambda: self._run(message.run))
        written = await call.in_thread(lambda: self._written(message))
        found = await verify_snapshot(
            run.session,
            SnapshotId(from_hex(message.snapshot_id)),
            message.level,
            workspace=run.workspace,
            written=written,
            knows_kept_trees=message.level is not VerifyLevel.FULL,
            progress=call.progress_of(0),
        )
        verdict = records.backup_verdict(found)
        await call.in_thread(lambda: self._services.journal.set_verdict(message.run.record_id, verdict))
        return answers.backup_verdict(found)

    @step(names.CLOSE_RUN)
    def close(self, message: CloseInput, _: EngineCall) -> None:
        """Remove the workspace."""
        close_run(self._run(message.run, looks=False).workspace)
        self._services.end_run(message.run.repository)

    def _write_files(self, message: PlanInput, call: EngineCall) -> None:
        heap.give_back()  # as for the commit
        files = file_records(self._run(message.run, looks=False), message.pages, message.shards)
        self._services.journal.add_files(message.run.record_id, call.checked(files))

    def _check_snapshot(self, run: RunRef, snapshot_id: str) -> None:
        """The journal is told of a snapshot only when that is there and this run's own."""
        stored = find_snapshot(self._services.session(run.repository, looks=False).repository, snapshot_id)
        if run_tag(run.run_id) not in (stored.snapshot.tags or ()):
            raise UsageError(f"the snapshot {snapshot_id[:8]} is another run's")

    def _run(self, ref: RunRef, *, looks: bool = True) -> BackupRun:
        session = self._services.session(ref.repository, looks=looks)
        return BackupRun(session=session, run_id=ref.run_id, generation=ref.generation)

    def _resolved(self, ref: RunRef) -> tuple[BackupRun, SourceSpec]:
        return self._run(ref), self._services.source(ref.source).spec

    def _written(self, message: VerifyInput) -> Collection[PackId]:
        if message.level is VerifyLevel.FULL or not message.pages:
            return ()
        return written_packs(self._run(message.run, looks=False))

    def _order(self, request: BackupRequest, started_ns: int) -> BackupOrder:
        source = self._services.source(request.source)
        foreign = [
            tag for tag in request.tags if tag.startswith(OWN) and not tag.startswith(_TAGS_OF_SYSTEMS)
        ]
        if foreign:
            raise UsageError(f"the tag {foreign[0]!r} is for Holdfast alone to give", hint="Choose another.")
        return BackupOrder(
            spec=source.spec,
            host=request.host or source.host or self._services.host,
            strategy=request.strategy,
            started_ns=started_ns,
            parent=request.parent,
            tags=request.tags or source.tags,
            source="" if is_token(request.source) else request.source,
            username=self._services.username,
        )

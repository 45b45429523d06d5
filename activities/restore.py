"""The activities of a restore. Each is one engine operation, safe to run twice, at once, or late."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from holdfast.activities import answers, records
from holdfast.activities.answers import check_follows
from holdfast.activities.calls import EngineCall
from holdfast.activities.steps import Activities, Queues, async_step, step
from holdfast.activities.throttle import pace_of
from holdfast.activities.turns import own_turn
from holdfast.contracts import names
from holdfast.contracts.common import CloseInput, RunRef, ShardHeartbeat, Verdict
from holdfast.contracts.restore import (
    Finished,
    RestoreLogInput,
    RestoreOpened,
    RestorePage,
    RestoreTriggerInput,
    SpaceInput,
    ToCommandInput,
)
from holdfast.contracts.runs import PlanInput, SelectInput, ShardInput, VerifyInput
from holdfast.errors import AlreadyEndedError, RunStateError, SettingsError, UsageError
from holdfast.ids import BlobId, SnapshotId, from_hex, short, to_hex
from holdfast.repository.documents import load
from holdfast.repository.snapshots import load_snapshot
from holdfast.restore.documents import Opening
from holdfast.restore.finish.finish import finish
from holdfast.restore.opening import open_restore
from holdfast.restore.plan.select import select_page
from holdfast.restore.plan.space import check_space
from holdfast.restore.report import file_chunks
from holdfast.restore.request import RestoreOptions
from holdfast.restore.run import RestoreRun
from holdfast.restore.shard.shard import restore_shard
from holdfast.restore.to_command import CommandOutcome, restore_to_command
from holdfast.restore.verify import verify_restored
from holdfast.runs.opening import OPENING, close_run
from holdfast.runs.workspace import Workspace
from holdfast.service.journal.records import OutputRecord
from holdfast.service.settings.model import SourceProfile
from holdfast.service.settings.request_uses import RequestUse
from holdfast.terms import RestoreTotals, RunStatus


class RestoreActivities(Activities):
    """The restore's activities over the services of this process."""

    @step(names.TRIGGER_RESTORE)
    def trigger(self, message: RestoreTriggerInput, _: EngineCall) -> RestoreOpened:
        """Open the run and write the journal's first record."""
        self._services.begin_run(message.run.repository)
        self._refuse_ended(message)
        options = self._services.take_restore(message.run.source, message.run.run_id)
        if options.to_command != message.request.to_command:
            raise UsageError(
                "the request does not say which command gets what is restored", hint="Repeat the command."
            )
        with self._running(message.run) as run:
            opened = open_restore(run, is_new=not message.request.resume_run)
        opening, dry_run = opened.opening, options.dry_run
        begun = records.restore_begun(message, opening, dry_run=dry_run, host=self._services.host)
        self._services.journal.record(begun)
        return RestoreOpened(
            snapshot_id=to_hex(opening.snapshot),
            dry_run=dry_run,
            resumed=opened.resumed,
            has_room=opened.has_room,
            ahead=tuple(map(short, opening.ahead)),
            tell=self._services.tells_of(message.request.selection) and not dry_run,
            alias="" if options.to_command else self._services.alias(message.run.repository),
        )

    @step(names.SELECT_RESTORE)
    def select(self, message: SelectInput, _: EngineCall) -> RestorePage:
        """Plan one page."""
        with self._running(message.run) as run:
            if run.options.to_command:  # without a plan nothing is written either
                raise RunStateError("what is meant for a command is not written to files")
            page = select_page(run, message.page)
        check_follows(page, message.page, message.first_shard)
        return RestorePage(
            shards=page.shards,
            last=page.last,
            totals=page.counts,
        )

    @step(names.CHECK_SPACE, final=True)
    def check_space(self, message: SpaceInput, _: EngineCall) -> None:
        """Refuse a restore that cannot fit: nothing is written yet, so nothing is gained by waiting for space."""
        with self._running(message.run) as run:
            check_space(run, message.bytes_to_write)

    @async_step(names.RESTORE_SHARD, Queues.COPY)
    async def restore(self, message: ShardInput, call: EngineCall) -> RestoreTotals:
        """Restore the files of one shard."""
        async with self._holding(message.run, call) as run:
            pace = pace_of(message.throttle)
            result = await restore_shard(
                run, message.shard, call.progress_of(message.shard), pace=pace, on_written=own_turn()
            )
        return result.counts

    @async_step(names.RESTORE_TO_COMMAND, Queues.COPY, final=True)
    async def to_command(self, message: ToCommandInput, call: EngineCall) -> RestoreTotals:
        """Give a command's output back to the source's restore_command, once: nobody knows what twice would do."""
        source = await call.in_thread(lambda: self._source_of_command(message))

        def report(given: int) -> None:
            call.report(ShardHeartbeat(shard=0, bytes_done=given))

        async with self._holding(message.run, call) as run:
            opening = await call.in_thread(lambda: load(run.workspace, OPENING, Opening))
            if opening is None or to_hex(opening.snapshot) != message.snapshot_id:
                raise UsageError("this run was not opened for that snapshot", hint="Repeat the command.")
            stored = await call.in_thread(
                lambda: load_snapshot(run.held.repository, SnapshotId(opening.snapshot))
            )
            outcome = await restore_to_command(
                run.held.loader,
                BlobId(from_hex(stored.snapshot.tree)),
                source.spec.roots[0],
                source.restore_command,
                environ=dict(source.spec.command_environ),
                on_bytes=report,
            )
        await call.in_thread(
            lambda: self._services.journal.add_output(message.run.record_id, _output(outcome))
        )
        return RestoreTotals(
            files=1,
            files_written=1,
            bytes_to_write=outcome.bytes_given,
            bytes_written=outcome.bytes_given,
            bytes_total=outcome.bytes_given,
        )

    @step(names.FINISH_RESTORE)
    def finish(self, message: PlanInput, call: EngineCall) -> Finished:
        """Put links, deletions and the metadata of directories in place."""
        with self._running(message.run) as run:
            finished = finish(run, message.pages, message.shards, call.progress_of(message.shards))
        status = RunStatus.PARTIAL if finished.partial else RunStatus.COMPLETE
        return Finished(status=status, totals=finished.counts)

    @step(names.LOG_RESTORE)
    def log(self, message: RestoreLogInput, call: EngineCall) -> None:
        """Write the run's record, and what became of each path once the plan was whole."""
        journal = self._services.journal
        journal.record(records.restore_ended(message, host=self._services.host))
        if message.ending.status not in (RunStatus.COMPLETE, RunStatus.PARTIAL) or message.request.to_command:
            return
        with self._running(message.run) as run:
            chunks = file_chunks(run, message.progress.pages_done, message.progress.shards_planned)
            journal.add_chunks(message.run.record_id, call.checked(chunks))

    @async_step(names.VERIFY_RESTORE)
    async def verify(self, message: VerifyInput, call: EngineCall) -> Verdict:
        """Read back from disk what was restored, and add the verdict to the record."""
        async with self._holding(message.run, call) as run:
            found = await verify_restored(run, message.pages, call.progress_of(0))
        verdict = records.restore_verdict(found, message.level.value)
        await call.in_thread(lambda: self._services.journal.set_verdict(message.run.record_id, verdict))
        return answers.restore_verdict(found, message.level)

    @step(names.CLOSE_RESTORE)
    def close(self, message: CloseInput, _: EngineCall) -> None:
        """Remove the workspace."""
        ref = message.run
        use = self._services.restore_use(ref.source)
        if use is None or not use.over or use.run != ref.run_id:
            with self._running(ref) as run:
                opening = load(run.workspace, OPENING, Opening)
                snapshot = "" if opening is None else to_hex(opening.snapshot)
                # Before the workspace goes: a run without one would begin from the start.
                ended = RequestUse(run=ref.run_id, over=True, status=message.status.value, snapshot=snapshot)
                self._services.end_restore(ref.source, ended)
        close_run(Workspace(self._services.session(ref.repository, looks=False).repository, ref.run_id))
        self._services.end_run(ref.repository)

    def _refuse_ended(self, message: RestoreTriggerInput) -> None:
        """A backup that has ended finds its snapshot; a restore would write once more over what came since."""
        record = self._services.journal.run(message.run.record_id)
        if record is not None and record.status is not RunStatus.RUNNING:
            raise AlreadyEndedError(
                f"this restore has ended before ({record.status.value})",
                hint="The server's database is older than the journal. Start the restore again if it is wanted.",
            )

    def _source_of_command(self, message: ToCommandInput) -> SourceProfile:
        """The source whose restore_command gets the file.

        Raises:
            UsageError, SettingsError: the request is not for it, or it has none.
        """
        if self._options(message.run).to_command != message.source:
            raise UsageError(f"the request is not for the command of {message.source!r}")
        source = self._services.source(message.source)
        if not source.restore_command:
            raise SettingsError(
                f"the source {message.source!r} has no restore_command",
                hint=f"Add it to [sources.{message.source}] on the worker, or restore the file to a --target.",
            )
        return source

    def _options(self, ref: RunRef) -> RestoreOptions:
        return self._services.restore_options(ref.source, ref.run_id)

    @contextmanager
    def _running(self, ref: RunRef) -> Iterator[RestoreRun]:
        """The run, with the repository's lock held."""
        options = self._options(ref)
        with self._services.session(ref.repository).hold() as held:
            yield RestoreRun(held=held, run_id=ref.run_id, options=options)

    @asynccontextmanager
    async def _holding(self, ref: RunRef, call: EngineCall) -> AsyncIterator[RestoreRun]:
        """The same for steps of the event loop."""
        session = await call.in_thread(lambda: self._services.session(ref.repository))
        options = await call.in_thread(lambda: self._options(ref))
        async with session.holding() as held:
            yield RestoreRun(held=held, run_id=ref.run_id, options=options)


def _output(outcome: CommandOutcome) -> OutputRecord:
    return OutputRecord(
        hook="restore_command",
        moment="after",
        exit_code=0,
        started_ns=outcome.started_ns,
        ended_ns=outcome.ended_ns,
        output=outcome.output,
    )

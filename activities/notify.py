"""The activities that tell: how a run ended, and what has not run though it should have."""

import logging
from collections.abc import Mapping
from typing import Final

from temporalio import activity
from temporalio.client import ScheduleAction, ScheduleActionStartWorkflow
from temporalio.service import RPCError

from holdfast.activities.calls import EngineCall
from holdfast.activities.records import run_record
from holdfast.activities.steps import Activities, async_step, step
from holdfast.activities.waits import waiting_runs
from holdfast.contracts.cleanup import CLEANUP_WORKFLOW
from holdfast.contracts.common import Trigger
from holdfast.contracts.identity import is_token
from holdfast.contracts.notify import (
    NOTIFY,
    WATCH,
    WATCHDOG_WORKFLOW,
    Notified,
    NotifyInput,
    WatchInput,
    WatchState,
)
from holdfast.errors import JournalUnavailableError
from holdfast.service.journal.records import RunRecord
from holdfast.service.notices.delivery import tell
from holdfast.service.notices.notice import (
    NoticeEvent,
    event_of,
    notice_of_missed,
    notice_of_overdue,
    notice_of_run,
    notice_of_waiting,
)
from holdfast.service.notices.overdue import Watched, look, newest_good_backup
from holdfast.service.notices.ping import ping
from holdfast.service.notices.repeats import LOOKED_AT, is_news, streak
from holdfast.service.waits import Wait
from holdfast.terms import RunKind, RunStatus
from holdfast.units import NS_PER_S

_GOOD: Final = frozenset((RunStatus.COMPLETE, RunStatus.PARTIAL))
_UPKEEP: Final = frozenset((WATCHDOG_WORKFLOW, CLEANUP_WORKFLOW))
_MOST_SCHEDULES: Final = 1_000
_LOG: Final = logging.getLogger(__name__)


class NotifyActivities(Activities):
    """They fail only where a retry helps; an address that does not answer is none of the run's business."""

    @step(NOTIFY)
    def notify(self, message: NotifyInput, _: EngineCall) -> Notified:
        """Tell how a run ended: people by a notice, the source's watcher by a ping."""
        run = self._services.journal.run(message.run.record_id)
        if run is None or run.status is RunStatus.RUNNING:
            run = _as_told(message, self._services.host)
        return self.tell_run(run)

    @async_step(WATCH)
    async def watch(self, message: WatchInput, call: EngineCall) -> WatchState:
        """Look for sources without a good backup for too long, and for schedules that missed a run."""
        missed = await self._missed(message.state.missed)
        waiting = await self._waiting()
        return await call.in_thread(lambda: self._watch(message, missed, waiting))

    def tell_run(self, run: RunRecord) -> Notified:
        """The same of a run whose record stands. Blocks."""
        before = self._streak(run)
        notice = None
        if is_news(run, before):
            hooks = self._services.journal.outputs(run.run_id)
            notice = notice_of_run(run, _subject(run), hooks, before=before)
        delivery = tell(self._services.settings.notices, notice)
        return Notified(sent=delivery.sent, failed=delivery.failed, pinged=self._ping(run))

    def _streak(self, run: RunRecord) -> list[RunRecord]:
        """The runs of this subject that failed just before for the same reason; none where the journal cannot say."""
        if run.status is not RunStatus.FAILED:
            return []
        try:
            earlier = self._services.journal.journal.runs(
                LOOKED_AT,
                source=run.source,
                repositories=[run.repository],
                host=run.host,
                kind=run.kind,
                before_ns=run.started_ns,
            )
        except JournalUnavailableError:
            return []
        return streak(run, earlier)

    def _ping(self, run: RunRecord) -> bool:
        """Every end of a backup but a person's stop: silence is what makes the watcher raise the alarm."""
        if run.kind is not RunKind.BACKUP or run.status is RunStatus.CANCELLED:
            return False
        profile = self._services.settings.sources.get(run.source)
        if profile is None or profile.ping_url is None:
            return False
        ok = run.status in _GOOD and event_of(run) is not NoticeEvent.FAILED
        return ping(profile.ping_url, ok=ok)

    def _watch(
        self, message: WatchInput, missed: Mapping[str, int], waiting: Mapping[str, Wait] | None
    ) -> WatchState:
        settings, journal = self._services.settings, self._services.journal.journal
        watched = [
            Watched(
                source=profile.name,
                max_age_s=profile.max_age_s,
                newest_ns=newest_good_backup(
                    journal,
                    source=profile.name,
                    repository=profile.repository,
                    host=profile.host or settings.host,
                ),
            )
            for profile in settings.sources.values()
            if profile.max_age_s is not None
        ]
        state = message.state
        found = look(watched, told=state.told, seen=state.seen, now_ns=message.now_ns)
        for source in found.due:
            overdue = notice_of_overdue(
                source.source,
                newest_ns=source.newest_ns,
                max_age_s=source.max_age_s,
                now_ns=message.now_ns,
            )
            tell(settings.notices, overdue)
        for schedule, count in missed.items():
            more = count - state.missed.get(schedule, count)
            if more > 0:
                tell(settings.notices, notice_of_missed(schedule, more))
        since, told = self._tell_waiting(message, waiting)
        return WatchState(
            seen=dict(found.seen),
            told=dict(found.told),
            missed=dict(missed),
            waiting=since,
            waiting_told=told,
        )

    def _tell_waiting(
        self, message: WatchInput, waiting: Mapping[str, Wait] | None
    ) -> tuple[dict[str, int], tuple[str, ...]]:
        """Tell once of each run that has waited for long enough; since when each has waited, and those told of."""
        state = message.state
        if waiting is None:  # the server does not say
            return state.waiting, state.waiting_told
        since = {run: state.waiting.get(run, message.now_ns) for run in waiting}
        told = [run for run in state.waiting_told if run in since]
        settings = self._services.settings.notices
        after_ns = round(settings.waiting_after_s * NS_PER_S)
        for run, wait in waiting.items():
            if run not in told and message.now_ns - since[run] >= after_ns:
                tell(settings, notice_of_waiting(run, wait, since_ns=since[run]))
                told.append(run)
        return since, tuple(told)

    async def _waiting(self) -> Mapping[str, Wait] | None:
        """Why each run of this queue waits that does; None where the server does not say."""
        client, queue = activity.client(), activity.info().task_queue
        try:
            return {run.workflow_id: run.wait async for run in waiting_runs(client, queue)}
        except RPCError as error:
            _LOG.warning("the server does not tell which runs wait: %s", error.status.name)
            return None

    async def _missed(self, before: Mapping[str, int]) -> Mapping[str, int]:
        """Count the missed runs of each schedule of this queue; as it was before where the server does not say."""
        client, queue = activity.client(), activity.info().task_queue
        counts: dict[str, int] = {}
        try:
            async for listed in await client.list_schedules():
                description = await client.get_schedule_handle(listed.id).describe()
                action = description.schedule.action
                if _counts(action, queue):
                    counts[listed.id] = description.info.num_actions_missed_catchup_window
                if len(counts) >= _MOST_SCHEDULES:
                    break
        except RPCError as error:
            _LOG.warning("the server does not tell of its schedules: %s", error.status.name)
            return before
        return counts


def _counts(action: ScheduleAction, queue: str) -> bool:
    """Whether a schedule's missed runs are of interest: of this queue, and none of the service's own."""
    return (
        isinstance(action, ScheduleActionStartWorkflow)
        and action.task_queue == queue
        and action.workflow not in _UPKEEP
    )


def _subject(run: RunRecord) -> str:
    """Say what the run was about, in words that name no path; a token says nothing to people."""
    if not run.source:
        return f"repository {run.repository}"
    if not is_token(run.source):
        return run.source
    return "paths given by hand" if run.kind is RunKind.BACKUP else "a selection"


def _as_told(message: NotifyInput, host: str) -> RunRecord:
    """The run as its workflow knows it, where the journal cannot say."""
    return run_record(message.run, message.kind, Trigger(), host, message.started_ns, message.ending)

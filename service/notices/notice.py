"""What a notice says. It goes through services of others, so it names runs, sources and counts, and never a path."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from holdfast.contracts.identity import is_token, parse_workflow_id, short_id
from holdfast.contracts.veiled import in_words
from holdfast.contracts.waiting import WaitsFor
from holdfast.service.journal.reasons import Reason, hook_reasons, is_sound, reason_of
from holdfast.service.journal.records import OutputRecord, RunRecord
from holdfast.service.waits import Wait
from holdfast.terms import RunStatus
from holdfast.units import NS_PER_S

_SHORT_LENGTH: Final = 8
_FOR_A_PERSON: Final = frozenset((WaitsFor.PAUSED, WaitsFor.APPROVAL))


class NoticeEvent(StrEnum):
    """What a notice may tell of; the values are those of `notices.on`."""

    FAILED = "failed"
    PARTIAL = "partial"
    OVERDUE = "overdue"
    MISSED = "missed"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to people."""

    event: NoticeEvent
    title: str
    body: str


def event_of(run: RunRecord) -> NoticeEvent | None:
    """What there is to tell of a run that ended; None of one that is well, or that a person stopped.

    A verification that found damage makes a failure of any run: what it stored cannot be relied on.
    """
    if run.status is RunStatus.FAILED or not is_sound(run):
        return NoticeEvent.FAILED
    return NoticeEvent.PARTIAL if run.status is RunStatus.PARTIAL else None


def notice_of_run(
    run: RunRecord,
    subject: str,
    hooks: Sequence[OutputRecord] = (),
    *,
    before: Sequence[RunRecord] = (),
) -> Notice | None:
    """The notice of a run, if there is anything to tell. subject: its source or selection, as people know it.

    hooks: how its hooks ended. before: runs that failed for the same reason just before, newest first.
    """
    event = event_of(run)
    if event is None:
        return None
    reason = reason_of(run, hooks) or Reason(text="nobody has said why")
    damaged = not is_sound(run)
    ending = "found damage" if damaged and run.status is not RunStatus.FAILED else run.status.value
    kind = f" ({run.failure_kind})" if run.failure_kind else ""
    others = [words for words in hook_reasons(hooks) if words not in reason.text]
    lines = [
        f"Why: {in_words(reason.text)}{kind}",
        *(f"Also: {words}" for words in others),
        f"Next: {in_words(reason.next_step)}" if reason.next_step else "",
        f"It has failed so {len(before) + 1:,} times since {_utc(before[-1].started_ns)}." if before else "",
        "",
        f"Repository: {run.repository}",
        f"Host: {run.host}",
        f"Started: {_utc(run.started_ns)}",
        f"Ended: {_utc(run.ended_ns)}" if run.ended_ns else "",
        f"Snapshot: {run.snapshot_id[:_SHORT_LENGTH]}" if run.snapshot_id else "",
        f"Run: {run.run_id}",
        "",
        f"`holdfast run show {short_id(run.run_id)}` says more.",
    ]
    title = f"Holdfast: {run.kind.value} of {subject}: {ending}"
    return Notice(event=event, title=title, body=_joined(lines))


def notice_of_overdue(source: str, *, newest_ns: int | None, max_age_s: float, now_ns: int) -> Notice:
    """The notice of a source without a good backup for too long. newest_ns: start of its newest one, if any."""
    if newest_ns is None:
        since = "There is no good backup of it at all."
    else:
        since = f"Its newest good backup is {_age((now_ns - newest_ns) / NS_PER_S)} old ({_utc(newest_ns)})."
    body = f"{since}\nIt should never be older than {_age(max_age_s)}."
    return Notice(
        event=NoticeEvent.OVERDUE,
        title=f"Holdfast: {source} is overdue",
        body=f"{body}\n\n`holdfast runs --source {source}` lists its runs.",
    )


def notice_of_missed(schedule: str, count: int) -> Notice:
    """The notice of a schedule whose time came `count` times without a run, because nobody was there to start one."""
    times = "once" if count == 1 else f"{count:,} times"
    return Notice(
        event=NoticeEvent.MISSED,
        title=f"Holdfast: schedule {schedule} missed a run",
        body=f"Its time came {times} while the server was away, and its catch-up window had passed since.",
    )


def notice_of_waiting(workflow_id: str, wait: Wait, *, since_ns: int) -> Notice:
    """The notice of a run that stands still."""
    about = parse_workflow_id(workflow_id)
    subject = about.subject if not is_token(about.subject) else "what was given by hand"
    goes_on = (
        "It does not go on by itself."
        if wait.what in _FOR_A_PERSON
        else "It goes on by itself when that is over."
    )
    lines = [
        f"Why: {in_words(wait.words)}",
        f"Next: {in_words(wait.next_step)}" if wait.next_step else "",
        f"It has waited since {_utc(since_ns)} at least. {goes_on}",
        "",
        "`holdfast status` shows it.",
    ]
    title = f"Holdfast: {about.kind} of {subject} waits: {wait.what.words}"
    return Notice(event=NoticeEvent.WAITING, title=title, body=_joined(lines))


def notice_of_silence(host: str, wait: Wait, *, since_ns: int) -> Notice:
    """The notice of a server that does not answer. host: that it is told from."""
    lines = [
        f"The Temporal server has not answered since {_utc(since_ns)}, as seen from {host}.",
        f"Next: {wait.next_step}",
        "",
        "No schedule starts anything meanwhile, and runs stand still.",
    ]
    title = f"Holdfast: the server of {host} is away"
    return Notice(event=NoticeEvent.WAITING, title=title, body=_joined(lines))


def _joined(lines: list[str]) -> str:
    """Without what is not known; the empty lines between the parts stay."""
    kept = [line for number, line in enumerate(lines) if line or not number or lines[number - 1]]
    return "\n".join(kept)


def _utc(ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(ns // NS_PER_S))


def _age(seconds: float) -> str:
    hours = seconds / 3600
    if hours < 1:
        return f"{seconds / 60:.0f} min"
    return f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.1f} days"

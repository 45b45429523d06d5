"""The journal's records of systems have a line for each member."""

from dataclasses import replace

from holdfast.activities.records import run_record
from holdfast.contracts.system import LogSystemInput, MemberOutcome, OpenSystemInput
from holdfast.service.journal.records import RunRecord, VerdictRecord
from holdfast.terms import RunKind

LEVEL = "members"


def begun(message: OpenSystemInput, *, host: str) -> RunRecord:
    """The first record."""
    kind = _kind(is_restore=message.is_restore)
    return run_record(message.run, kind, message.trigger, host, message.started_ns)


def ended(message: LogSystemInput, *, host: str) -> RunRecord:
    """The record of a run that ended, however it did."""
    members = message.members
    kind = _kind(is_restore=message.is_restore)
    record = run_record(message.run, kind, message.trigger, host, message.started_ns, message.ending)
    counters = {
        "members": len(members),
        "members_ok": sum(member.ok for member in members),
        "files": sum(member.files for member in members),
        "bytes_total": sum(member.bytes_total for member in members),
        "errors": sum(member.errors for member in members),
    }
    return replace(record, counters=counters)


def findings(message: LogSystemInput) -> VerdictRecord:
    """The verdict: a line for each member that is not there as a whole, and for each hook that failed."""
    problems = [
        f"{member.label}: {_words(member, is_restore=message.is_restore)}" for member in _wrong(message)
    ]
    problems += [hook.words for hook in message.hooks if not hook.ok]
    return VerdictRecord(
        level=LEVEL,
        ok=not problems,
        files=sum(member.files for member in message.members),
        problem_count=len(problems),
        problems=tuple(problems),
    )


def _wrong(message: LogSystemInput) -> list[MemberOutcome]:
    return [member for member in message.members if not member.ok or member.reason]


def _words(member: MemberOutcome, *, is_restore: bool) -> str:
    if is_restore:
        what = "restored" if member.ok else "NOT RESTORED"
    else:
        what = (
            f"recoverable, snapshot {member.snapshot_id[:8]}"
            if member.ok
            else "NOT RECOVERABLE as of this run"
        )
    return f"{what}: {member.reason}" if member.reason else what


def _kind(*, is_restore: bool) -> RunKind:
    return RunKind.SYSTEM_RESTORE if is_restore else RunKind.SYSTEM_BACKUP

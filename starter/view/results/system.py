"""Tells how a backup or a recovery of a system ended: what it came to, member by member."""

from typing import Final

from holdfast.contracts.system import MemberOutcome, SystemResult
from holdfast.format.times import format_time
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import local_time
from holdfast.starter.view.results.words import Message, Words, seconds
from holdfast.terms import RunStatus
from holdfast.units import counted, format_bytes

_COLUMNS: Final = (
    Column("Member", 0, Kind.PATH),
    Column("Host", 3, Kind.PATH),
    Column("Result", 0, Kind.STATE),
    Column("Snapshot", 2),
    Column("Of", 4, Kind.TIME),
    Column("Files", 5, Kind.NUMBER),
    Column("Size", 6, Kind.NUMBER),
    Column("Reason", 1),
)


def words(result: SystemResult) -> Words:
    """What is told of it."""
    return Words(lines=_lines(result), summary=_summary(result), during="system", hooks=result.hooks)


def _lines(result: SystemResult) -> list[str]:
    """The verdict as a table, and in one sentence."""
    rows = [
        (
            member.label,
            member.host,
            _word(member, is_restore=result.is_restore),
            member.snapshot_id[:8],
            local_time(member.snapshot_time_ns) if member.snapshot_time_ns else "",
            f"{member.files:,}" if member.files else "",
            format_bytes(member.bytes_total) if member.bytes_total else "",
            member.reason,
        )
        for member in result.members
    ]
    said = ["", *table(_COLUMNS, rows, _sentence(result))]
    if result.is_restore and not result.system_run and any(member.ok for member in result.members):
        said.append("These snapshots are not of one run of the system: no such run is whole.")
    return said


def _summary(result: SystemResult) -> Message:
    """The last line for programs."""
    return {
        "message_type": "summary",
        "run_id": result.run_id,
        "system": result.system,
        "kind": "restore" if result.is_restore else "backup",
        "status": result.status.value,
        "system_run": result.system_run,
        "seconds_elapsed": seconds(result),
        "members": [_member(member) for member in result.members],
        "hooks": [
            {
                "name": hook.name,
                "moment": hook.moment.value,
                "ok": hook.ok,
                "exit_code": hook.exit_code,
                "timed_out": hook.timed_out,
                "failure": hook.failure,
            }
            for hook in result.hooks
        ],
    }


def _member(member: MemberOutcome) -> Message:
    return {
        "member": member.label,
        "host": member.host,
        "status": member.status.value,
        "ok": member.ok,
        "snapshot_id": member.snapshot_id,
        "snapshot_time": format_time(member.snapshot_time_ns) if member.snapshot_time_ns else "",
        "reason": member.reason,
        "run_id": member.run_id,
        "workflow_id": member.workflow_id,
        "files": member.files,
        "bytes": member.bytes_total,
        "error_count": member.errors,
    }


def _word(member: MemberOutcome, *, is_restore: bool) -> str:
    if not member.ok:
        return "NOT RESTORED" if is_restore else "NOT RECOVERABLE"
    whole = "restored" if is_restore else "recoverable"
    return whole if member.status is RunStatus.COMPLETE else f"{whole} in part"


def _sentence(result: SystemResult) -> str:
    good = sum(member.ok for member in result.members)
    what = "restored" if result.is_restore else "recoverable as of this run"
    return f"{good} of {counted(len(result.members), 'member')} {what}: {result.status.value}"

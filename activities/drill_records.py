"""The journal's records of drills say what was tried, what came of it, and how it stands against the goals."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from holdfast.activities.records import run_record
from holdfast.contracts.drill import (
    DrillFindings,
    DrillLogInput,
    DrillOpened,
    DrillRequest,
    DrillTriggerInput,
)
from holdfast.service.journal.proofs import PROVEN
from holdfast.service.journal.records import RunRecord, VerdictRecord
from holdfast.terms import RunKind
from holdfast.units import NS_PER_S, counted

LEVEL: Final = "drill"
_NS_PER_MS: Final = 10**6


def begun(message: DrillTriggerInput, opened: DrillOpened, *, host: str) -> RunRecord:
    """The first record of a drill. Its strategy is its name in the settings, its reason the sample with its seed."""
    request = message.request
    record = run_record(message.run, RunKind.DRILL, request, host, message.started_ns)
    return _tried(record, request, opened)


def ended(message: DrillLogInput, *, host: str) -> RunRecord:
    """The record of a drill that ended, however it did."""
    request = message.request
    record = run_record(message.run, RunKind.DRILL, request, host, message.started_ns, message.ending)
    return replace(_tried(record, request, message.opened), counters=_counters(message))


def _tried(record: RunRecord, request: DrillRequest, opened: DrillOpened | None) -> RunRecord:
    if opened is None:
        return replace(record, strategy=request.drill)
    return replace(
        record,
        source=opened.source,
        strategy=request.drill,
        reason=_sample(opened),
        snapshot_id=opened.snapshot_id,
    )


def verdict(message: DrillLogInput, check_output: str) -> VerdictRecord:
    """Say what was proven; else why not, with the end of what the check printed."""
    problems = list(_problems(message, check_output))
    restored, findings = message.restored, message.findings
    return VerdictRecord(
        level=LEVEL,
        ok=findings is not None and findings.ok,
        files=0 if restored is None else restored.totals.files,
        bytes_read=0 if restored is None else restored.totals.bytes_written,
        problem_count=len(problems),
        problems=tuple(problems),
    )


def _sample(opened: DrillOpened) -> str:
    return f"{opened.sample}, seed {opened.seed}"


def _counters(message: DrillLogInput) -> dict[str, int]:
    counters: dict[str, int] = {}
    opened, restored, findings = message.opened, message.restored, message.findings
    if opened is not None:
        counters |= {
            "sample_files": opened.sample_files,
            "sample_bytes": opened.sample_bytes,
            "files_of_all": opened.files_of_all,
            "bytes_of_all": opened.bytes_of_all,
            "rto_goal_s": round(opened.rto_s),
            "rpo_goal_s": round(opened.rpo_s),
        }
    if restored is not None:
        counters |= {
            "files_restored": restored.totals.files_written,
            "bytes_restored": restored.totals.bytes_written,
            "errors": restored.totals.errors,
        }
    if message.checked is not None:
        counters["check_exit_code"] = message.checked.exit_code
    if findings is not None:
        counters |= _measured(findings)
    if message.verified is not None:
        counters["damaged_packs"] = message.verified.damaged_packs
        counters["lost_paths"] = message.verified.lost_paths
    return counters


def _measured(findings: DrillFindings) -> dict[str, int]:
    measured = {
        PROVEN: int(findings.proven),
        "recovery_ms": findings.recovery_ns // _NS_PER_MS,
        "estimated_recovery_ms": findings.estimated_recovery_ns // _NS_PER_MS,
        "data_age_s": findings.data_age_ns // NS_PER_S,
    }
    if findings.rto_met is not None:
        measured["rto_met"] = int(findings.rto_met)
    if findings.rpo_met is not None:
        measured["rpo_met"] = int(findings.rpo_met)
    return measured


def _problems(message: DrillLogInput, check_output: str) -> Iterator[str]:
    opened, restored, checked = message.opened, message.restored, message.checked
    findings, verified = message.findings, message.verified
    if message.restore_failure:
        yield f"the restore failed: {message.restore_failure}"
    if restored is not None and restored.totals.errors:
        yield f"{counted(restored.totals.errors, 'path')} could not be restored"
    if restored is not None and restored.verdict is not None and not restored.verdict.ok:
        yield f"{counted(restored.verdict.problems, 'difference')} between what was restored and the snapshot"
    if verified is not None and verified.damaged_packs:
        what = counted(verified.damaged_packs, "pack is", "packs are")
        yield f"{what} damaged and marked: the next full backup mends what it can"
    if checked is not None and not checked.ok:
        how = "did not end in time" if checked.timed_out else f"ended with exit code {checked.exit_code}"
        yield f"the check {how}: {check_output.strip()}"
    if findings is None or opened is None:
        return
    if findings.rto_met is False and findings.proven:
        took_s = findings.estimated_recovery_ns / NS_PER_S
        yield f"recovery would take {took_s:,.0f} s, more than the goal of {opened.rto_s:,.0f} s"
    if findings.rpo_met is False:
        age_s = findings.data_age_ns / NS_PER_S
        yield f"the newest data is {age_s:,.0f} s old, more than the goal of {opened.rpo_s:,.0f} s"

"""Tells how a drill ended: what was tried, what it proves, and how that stands against its goals."""

from holdfast.contracts.drill import DrillResult
from holdfast.starter.view.results.words import Message, Words
from holdfast.units import NS_PER_S, counted, format_age, format_bytes


def words(result: DrillResult) -> Words:
    """What is told of it: what went wrong with paths is the point of it."""
    return Words(
        lines=_lines(result),
        summary=_summary(result),
        during="restore",
        sound=result.findings.ok,
        paths=True,
        ahead=result.opened.ahead,
        taken=result.opened.snapshot_id,
    )


def _lines(result: DrillResult) -> list[str]:
    """What was tried, whether it came back, and how that stands against the goals."""
    opened, found, restored = result.opened, result.findings, result.restored
    sample = opened.sample if opened.sample == "all" else f"{opened.sample} (seed {opened.seed})"
    said = ["", f"tried {sample} of snapshot {opened.snapshot_id[:8]} of {opened.source}"]
    if restored is not None:
        totals = restored.totals
        said.append(
            f"restored {totals.files_written:,} of {counted(totals.files, 'file')}, "
            f"{format_bytes(totals.bytes_written)}"
        )
    if result.restore_failure:
        said.append(f"the restore failed: {result.restore_failure.partition(chr(10))[0]}")
    if result.checked is not None:
        checked = result.checked
        how = "did not end in time" if checked.timed_out else f"ended with exit code {checked.exit_code}"
        said.append("the check was content" if checked.ok else f"the check {how}")
    if result.verified is not None and result.verified.damaged_packs:
        said.append(
            f"{counted(result.verified.damaged_packs, 'pack is', 'packs are')} damaged and marked: "
            "a backup with --strategy full mends what it can"
        )
    if found.estimated_recovery_ns:
        back = format_age(found.estimated_recovery_ns)
        said.append(f"everything would be back in {back}{_goal(found.rto_met)}")
    elif found.proven:
        said.append("the sample is too small to tell how long everything would take")
    said.append(f"the newest data was {format_age(found.data_age_ns)} old{_goal(found.rpo_met)}")
    said.append("PROVEN restorable" if found.proven else "NOT PROVEN restorable")
    return said


def _summary(result: DrillResult) -> Message:
    """The last line for programs."""
    found, opened, restored = result.findings, result.opened, result.restored
    return {
        "message_type": "summary",
        "run_id": result.run_id,
        "status": result.status.value,
        "source": opened.source,
        "sample": opened.sample,
        "seed": opened.seed,
        "snapshot_id": opened.snapshot_id,
        "proven": found.proven,
        "rto_met": found.rto_met,
        "rpo_met": found.rpo_met,
        "recovery_seconds": found.recovery_ns / NS_PER_S,
        "estimated_recovery_seconds": found.estimated_recovery_ns / NS_PER_S,
        "data_age_seconds": found.data_age_ns / NS_PER_S,
        "check_exit_code": None if result.checked is None else result.checked.exit_code,
        "files_restored": 0 if restored is None else restored.totals.files_written,
        "bytes_restored": 0 if restored is None else restored.totals.bytes_written,
        "error_count": 0 if restored is None else restored.totals.errors,
    }


def _goal(met: bool | None) -> str:  # noqa: FBT001 - the answer to a question, not a switch
    return {None: "", True: ", as the goal asks", False: ", which MISSES the goal"}[met]

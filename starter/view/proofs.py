"""What a person is told of a verification and of a drill: what was read or tried, what it proves, what to do."""

from contracts.drill import DrillResult
from contracts.verify import VerifyResult
from holdfast.units import NS_PER_S, format_bytes, format_duration
from starter.view.display import duration


def verify_lines(result: VerifyResult) -> list[str]:
    """Counts, and then the damage with its remedy."""
    found = result.finished
    if found is None:
        return ["the verification was cancelled"]
    verdict = found.verdict
    took = duration(max(0, result.ended_ns - result.started_ns) / NS_PER_S)
    read = f"{verdict.packs:,} of {result.packs_of_repository:,} packs, {format_bytes(verdict.bytes_read)}"
    lines = ["", f"checked {verdict.files:,} files, {verdict.blobs:,} blobs", f"read {read} in {took}"]
    if found.mended_packs:
        lines.append(f"{found.mended_packs:,} damaged packs are needed no more, and were removed")
    if verdict.ok:
        return [*lines, "no problems were found"]
    lines.append(f"{verdict.problems:,} PROBLEMS were found")
    if found.damaged_packs:
        lines.append(
            f"{found.damaged_blobs:,} blobs in {found.damaged_packs:,} packs are damaged: "
            f"{found.lost_paths:,} paths in {found.affected_snapshots:,} snapshots need them"
        )
        lines.append(
            "They are marked: a backup with --strategy full stores again what the sources still have."
        )
    return lines


def drill_lines(result: DrillResult) -> list[str]:
    """What was tried, whether it came back, and how that stands against the goals."""
    opened, found, restored = result.opened, result.findings, result.restored
    sample = opened.sample if opened.sample == "all" else f"{opened.sample} (seed {opened.seed})"
    lines = ["", f"tried {sample} of snapshot {opened.snapshot_id[:8]} of {opened.source}"]
    if restored is not None:
        totals = restored.totals
        lines.append(
            f"restored {totals.files_written:,} of {totals.files:,} files, {format_bytes(totals.bytes_written)}"
        )
    if result.restore_failure:
        lines.append(f"the restore failed: {result.restore_failure.partition(chr(10))[0]}")
    if result.checked is not None:
        checked = result.checked
        how = "did not end in time" if checked.timed_out else f"ended with exit code {checked.exit_code}"
        lines.append("the check was content" if checked.ok else f"the check {how}")
    if result.verified is not None and result.verified.damaged_packs:
        lines.append(
            f"{result.verified.damaged_packs:,} packs are damaged; they are marked, "
            "and a backup with --strategy full mends what it can"
        )
    if found.estimated_recovery_ns:
        back = format_duration(found.estimated_recovery_ns)
        lines.append(f"everything would be back in {back}{_goal(found.rto_met)}")
    elif found.proven:
        lines.append("the sample is too small to tell how long everything would take")
    lines.append(f"the newest data was {format_duration(found.data_age_ns)} old{_goal(found.rpo_met)}")
    lines.append("PROVEN restorable" if found.proven else "NOT PROVEN restorable")
    return lines


def _goal(met: bool | None) -> str:  # noqa: FBT001 - the answer to a question, not a switch
    return {None: "", True: ", as the goal asks", False: ", which MISSES the goal"}[met]

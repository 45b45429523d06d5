"""Tells how a prune ended: the plan, what was freed, how long the short part took."""

from dataclasses import asdict

from holdfast.contracts.prune import PrunePlanned, PruneResult
from holdfast.starter.view.results.words import Message, Words, seconds, took
from holdfast.units import counted, format_bytes


def words(result: PruneResult) -> Words:
    """What is told of it."""
    return Words(lines=_lines(result), summary=_summary(result), during="prune")


def plan_lines(plan: PrunePlanned, lead: str = "would") -> list[str]:
    """The plan, for people who are to read it before it is carried out. lead: before what is done by it."""
    if plan.is_empty:
        unused = f"{format_bytes(plan.bytes_unused)} of it unused"
        return [f"nothing to do: {counted(plan.packs, 'pack')}, {format_bytes(plan.bytes_total)}, {unused}"]
    copied = f"{format_bytes(plan.bytes_to_move)} of {format_bytes(plan.repack_bytes)}"
    freed = f"{format_bytes(plan.bytes_freed)} of {format_bytes(plan.bytes_total)}"
    left = f"{format_bytes(plan.bytes_unused)} unused, with some {counted(plan.requests, 'request')}"
    unneeded = f"{format_bytes(plan.drop_bytes)} that nothing needs"
    return [
        f"{lead} remove {plan.drop_packs:,} of {counted(plan.packs, 'pack')}: {unneeded}",
        *_unnamed(plan, lead),
        f"{lead} repack {counted(plan.repack_packs, 'pack')}, copying {copied}",
        f"{lead} free {freed}, and leave {left}",
    ]


def _lines(result: PruneResult) -> list[str]:
    plan, switched, totals = result.plan, result.switched, result.totals
    said = [] if plan is None else ["", *plan_lines(plan, "planned to" if switched else "would")]
    if result.refused:
        said.append(f"nothing was done: {result.refused}")
    if switched is not None:
        gone = totals.deleted_packs + switched.unnamed_packs
        said += [
            f"{counted(gone, 'pack is', 'packs are')} gone, {_freed(result)} are free, in {took(result)}",
            f"runs stood aside for {switched.stood_ms / 1000:.1f} s ({switched.runs:,} of them)",
        ]
        stay = totals.spared_packs + switched.taken_back
        if stay:
            said.append(counted(stay, "pack stays: it is needed again", "packs stay: they are needed again"))
    if totals.damaged_blobs:
        said.append(
            f"{counted(totals.damaged_blobs, 'blob')} could not be read: the packs stay (`holdfast verify` says more)"
        )
    return said


def _unnamed(plan: PrunePlanned, lead: str) -> list[str]:
    if not plan.unnamed_packs:
        return []
    return [
        f"{lead} remove {counted(plan.unnamed_packs, 'pack')} of no index: {format_bytes(plan.unnamed_bytes)}"
    ]


def _freed(result: PruneResult) -> str:
    """What the repository has got smaller by."""
    unnamed = 0 if result.switched is None else result.switched.unnamed_bytes
    return format_bytes(max(0, result.totals.bytes_deleted + unnamed - result.totals.bytes_written))


def _summary(result: PruneResult) -> Message:
    message: Message = {
        "message_type": "summary",
        "run_id": result.run_id,
        "status": result.status.value,
        "dry_run": result.dry_run,
        "refused": result.refused,
        "seconds_elapsed": round(seconds(result)),
        **asdict(result.totals),
    }
    if result.plan is not None:
        message["plan"] = asdict(result.plan)
    if result.switched is not None:
        message["short_part"] = asdict(result.switched)
    return message

"""Tells how a prune ended: the plan, what was freed, how long the short part took."""

from dataclasses import asdict

from holdfast.contracts.prune import PrunePlanned, PruneResult
from holdfast.starter.view.results.words import Message, Words, seconds, took
from holdfast.units import format_bytes


def words(result: PruneResult) -> Words:
    """What is told of it."""
    return Words(lines=_lines(result), summary=_summary(result), during="prune")


def plan_lines(plan: PrunePlanned) -> list[str]:
    """The plan, for people who are to read it before it is carried out."""
    if plan.is_empty:
        unused = f"{format_bytes(plan.bytes_unused)} of it unused"
        return [f"nothing to do: {plan.packs:,} packs, {format_bytes(plan.bytes_total)}, {unused}"]
    copied = f"{format_bytes(plan.bytes_to_move)} of {format_bytes(plan.repack_bytes)}"
    freed = f"{format_bytes(plan.bytes_freed)} of {format_bytes(plan.bytes_total)}"
    return [
        f"{plan.drop_packs:,} of {plan.packs:,} packs are not needed: {format_bytes(plan.drop_bytes)}",
        *_unnamed(plan),
        f"{plan.repack_packs:,} are repacked: {copied} are copied",
        f"{freed} are freed, {format_bytes(plan.bytes_unused)} stay unused; some {plan.requests:,} requests",
    ]


def _lines(result: PruneResult) -> list[str]:
    plan, switched, totals = result.plan, result.switched, result.totals
    said = [] if plan is None else ["", *plan_lines(plan)]
    if result.refused:
        said.append(f"nothing was done: {result.refused}")
    if switched is not None:
        gone = totals.deleted_packs + switched.unnamed_packs
        said += [
            f"{gone:,} packs are gone, {_freed(result)} are free, in {took(result)}",
            f"runs stood aside for {switched.stood_ms / 1000:.1f} s ({switched.runs:,} of them)",
        ]
        if totals.spared_packs or switched.taken_back:
            said.append(f"{totals.spared_packs + switched.taken_back:,} packs stay: they are needed again")
    if totals.damaged_blobs:
        said.append(
            f"{totals.damaged_blobs:,} blobs could not be read: their packs stay (`holdfast verify` says more)"
        )
    return said


def _unnamed(plan: PrunePlanned) -> list[str]:
    if not plan.unnamed_packs:
        return []
    return [f"{plan.unnamed_packs:,} packs are in no index: {format_bytes(plan.unnamed_bytes)}"]


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

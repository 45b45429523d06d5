"""Tells how a repair ended: what was mended, what is lost, and what to do next."""

from typing import Final

from holdfast.contracts.repair import RepairFinished, RepairResult
from holdfast.starter.view.results.words import Message, Words, seconds, took
from holdfast.terms import RepairKind

_SHOWN: Final = 20


def words(result: RepairResult) -> Words:
    """What is told of it."""
    return Words(lines=_lines(result), summary=_summary(result), during="repair", paths=True)


def _lines(result: RepairResult) -> list[str]:
    found = result.finished
    if found is None:
        return ["the repair was cancelled"]
    match result.what:
        case RepairKind.INDEX:
            said = _of_index(found, would=result.dry_run)
        case RepairKind.PACKS:
            said = _of_packs(found, would=result.dry_run)
        case _:
            said = _of_snapshots(found, would=result.dry_run)
    return ["", *said, f"done in {took(result)}"]


def _of_index(found: RepairFinished, *, would: bool) -> list[str]:
    said = [f"read the headers of {found.packs_read:,} packs"]
    said.append(f"{found.packs_added:,} packs {_are(would)} written into the index by their headers")
    if found.packs_missing:
        said.append(f"{found.packs_missing:,} packs that are not there {_are(would)} taken out of it")
    said.append(f"{found.index_files_removed:,} index files {_are(would)} replaced")
    if found.packs_damaged:
        said.append(
            f"the headers of {found.packs_damaged:,} packs CANNOT BE READ; the index has what it had of them"
        )
        said.append("`holdfast repair packs` saves what is sound in those that the index names.")
    if found.packs_missing:
        said.append("`holdfast verify` says what is lost, `holdfast repair snapshots` mends what lacks it.")
    return said


def _of_packs(found: RepairFinished, *, would: bool) -> list[str]:
    said = [f"read {found.packs_read:,} packs"]
    if not found.packs_removed:
        return [*said, "none of them is damaged"]
    said.append(f"{found.packs_removed:,} damaged packs {_are(would)} removed, what is sound in them saved")
    if found.blobs_lost:
        said.append(f"{found.blobs_lost:,} blobs are LOST: no pack has a copy that can be read")
        said.append(
            "A backup with --strategy full stores again what the source still has; then `holdfast repair snapshots`."
        )
    return said


def _of_snapshots(found: RepairFinished, *, would: bool) -> list[str]:
    if not (found.snapshots_repaired or found.snapshots_removed or found.snapshots_left):
        return [f"no snapshots {'would be' if would else 'were'} modified"]
    said = []
    if found.snapshots_repaired:
        said.append(
            f"{found.snapshots_repaired:,} snapshots {_are(would)} stored again, without {found.paths:,} paths"
        )
        pairs = list(zip(found.first_repaired, found.first_new, strict=False))[:_SHOWN]
        said += [f"snapshot {old[:8]} is {new[:8]} now" for old, new in pairs]
    if found.snapshots_removed:
        said.append(
            f"{found.snapshots_removed:,} snapshots of which nothing can be had {_are(would)} removed"
        )
    if found.snapshots_left:
        said.append(
            f"{found.snapshots_left:,} snapshots of which nothing can be had are left: --forget removes them"
        )
    return said


def _are(would: bool) -> str:  # noqa: FBT001 - one word for another
    return "would be" if would else "were"


def _summary(result: RepairResult) -> Message:
    message: Message = {
        "message_type": "summary",
        "run_id": result.run_id,
        "status": result.status.value,
        "repaired": "" if result.what is None else result.what.value,
        "dry_run": result.dry_run,
        "seconds_elapsed": round(seconds(result)),
    }
    found = result.finished
    if found is not None:
        message |= {name: getattr(found, name) for name in found.__dataclass_fields__}
    return message

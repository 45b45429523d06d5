"""Tells how a repair ended: what was mended, what is lost, and what to do next."""

from typing import Final

from holdfast.contracts.repair import RepairFinished, RepairResult
from holdfast.starter.view.results.words import Message, Words, seconds, took
from holdfast.terms import RepairKind
from holdfast.units import counted

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
    said = [f"read the headers of {counted(found.packs_read, 'pack')}"]
    said.append(f"{_are(found.packs_added, 'pack', would=would)} written into the index by the header")
    if found.packs_missing:
        said.append(f"{_are(found.packs_missing, 'missing pack', would=would)} taken out of it")
    said.append(f"{_are(found.index_files_removed, 'index file', would=would)} replaced")
    if found.packs_damaged:
        said.append(
            f"the headers of {counted(found.packs_damaged, 'pack')} CANNOT BE READ; the index has what it had of them"
        )
        said.append("`holdfast repair packs` saves what is sound in those that the index names.")
    if found.packs_missing:
        said.append("`holdfast verify` says what is lost, `holdfast repair snapshots` mends what lacks it.")
    return said


def _of_packs(found: RepairFinished, *, would: bool) -> list[str]:
    said = [f"read {counted(found.packs_read, 'pack')}"]
    if not found.packs_removed:
        return [*said, "none of them is damaged"]
    said.append(f"{_are(found.packs_removed, 'damaged pack', would=would)} removed, and what is sound saved")
    if found.blobs_lost:
        said.append(
            f"{counted(found.blobs_lost, 'blob is', 'blobs are')} LOST: no pack has a copy that can be read"
        )
        said.append(
            "A backup with --strategy full stores again what the source still has; then `holdfast repair snapshots`."
        )
    return said


def _of_snapshots(found: RepairFinished, *, would: bool) -> list[str]:
    if not (found.snapshots_repaired or found.snapshots_removed or found.snapshots_left):
        return [f"no snapshots {'would be' if would else 'were'} modified"]
    said = []
    if found.snapshots_repaired:
        again = _are(found.snapshots_repaired, "snapshot", would=would)
        said.append(f"{again} stored again, without {counted(found.paths, 'path')}")
        pairs = list(zip(found.first_repaired, found.first_new, strict=False))[:_SHOWN]
        said += [f"snapshot {old[:8]} is {new[:8]} now" for old, new in pairs]
    if found.snapshots_removed:
        said.append(
            f"{_are(found.snapshots_removed, 'snapshot', would=would)} removed: nothing can be had of it"
        )
    if found.snapshots_left:
        left = counted(found.snapshots_left, "snapshot is left", "snapshots are left")
        said.append(f"{left} of which nothing can be had: --forget removes that")
    return said


def _are(count: int, what: str, *, would: bool) -> str:
    """`1 pack was`, or `2 packs would be`."""
    return f"{counted(count, what)} {'would be' if would else 'was' if count == 1 else 'were'}"


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

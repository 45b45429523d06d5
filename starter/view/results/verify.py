"""Tells how a verification ended: what was read, the damage, and its remedy."""

from holdfast.contracts.verify import VerifyResult
from holdfast.starter.view.results.words import Message, Words, seconds, took, verdict
from holdfast.units import counted, format_bytes


def words(result: VerifyResult) -> Words:
    """What is told of it."""
    return Words(
        lines=_lines(result),
        summary=_summary(result),
        during="verify",
        sound=result.verdict is not None and result.verdict.ok,
        ahead=result.ahead,
        taken=result.latest,
    )


def _lines(result: VerifyResult) -> list[str]:
    """Counts, and then the damage with its remedy."""
    found = result.finished
    if found is None:
        return ["the verification was cancelled"]
    of_all = found.verdict
    read = f"{of_all.packs:,} of {counted(result.packs_of_repository, 'pack')}, {format_bytes(of_all.bytes_read)}"
    checked = f"checked {counted(of_all.files, 'file')}, {counted(of_all.blobs, 'blob')}"
    said = ["", checked, f"read {read} in {took(result)}"]
    if found.mended_packs:
        mended = counted(found.mended_packs, "damaged pack was", "damaged packs were")
        said.append(f"{mended} removed: no longer needed")
    if of_all.ok:
        return [*said, "no problems were found"]
    said.append(f"{counted(of_all.problems, 'PROBLEM was', 'PROBLEMS were')} found")
    if found.damaged_packs:
        damaged = counted(found.damaged_blobs, "blob is", "blobs are")
        needed = f"{counted(found.lost_paths, 'path')} in {counted(found.affected_snapshots, 'snapshot')}"
        said.append(f"{damaged} damaged, in {counted(found.damaged_packs, 'pack')}: needed by {needed}")
        said.append(
            "They are marked: a backup with --strategy full stores again what the sources still have."
        )
    return said


def _summary(result: VerifyResult) -> Message:
    """restic's last line, and what we have beyond it."""
    found = result.finished
    message: Message = {
        "message_type": "summary",
        "num_errors": 0 if found is None else found.verdict.problems,
        "run_id": result.run_id,
        "status": result.status.value,
        "share": result.share,
        "seconds_elapsed": round(seconds(result)),
        "packs_of_repository": result.packs_of_repository,
        **verdict(result),
    }
    if found is not None:
        message |= {
            "blobs": found.verdict.blobs,
            "packs": found.verdict.packs,
            "files": found.verdict.files,
            "bytes_read": found.verdict.bytes_read,
            "damaged_packs": found.damaged_packs,
            "damaged_blobs": found.damaged_blobs,
            "mended_packs": found.mended_packs,
            "lost_paths": found.lost_paths,
            "affected_snapshots": list(found.first_affected),
        }
    return message

"""Tells how a verification ended: what was read, the damage, and its remedy."""

from holdfast.contracts.verify import VerifyResult
from holdfast.starter.view.results.words import Message, Words, seconds, took, verdict
from holdfast.units import format_bytes


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
    read = f"{of_all.packs:,} of {result.packs_of_repository:,} packs, {format_bytes(of_all.bytes_read)}"
    said = ["", f"checked {of_all.files:,} files, {of_all.blobs:,} blobs", f"read {read} in {took(result)}"]
    if found.mended_packs:
        said.append(f"{found.mended_packs:,} damaged packs are no longer needed, and were removed")
    if of_all.ok:
        return [*said, "no problems were found"]
    said.append(f"{of_all.problems:,} PROBLEMS were found")
    if found.damaged_packs:
        said.append(
            f"{found.damaged_blobs:,} blobs in {found.damaged_packs:,} packs are damaged: "
            f"{found.lost_paths:,} paths in {found.affected_snapshots:,} snapshots need them"
        )
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

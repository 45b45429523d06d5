"""Tells how a forgetting ended: what went into the bin, and until when it can be taken back."""

from typing import Final

from holdfast.contracts.forget import ForgetResult
from holdfast.starter.view.results.words import Message, Words, seconds
from holdfast.units import counted

_DAY_S: Final = 86_400


def words(result: ForgetResult) -> Words:
    """What is told of it."""
    return Words(lines=_lines(result), summary=_summary(result), during="forget")


def _lines(result: ForgetResult) -> list[str]:
    opened, done = result.opened, result.done
    stay = counted(opened.stays, "stays", "stay")
    said = [f"forgot {counted(done.forgotten, 'snapshot')}; of those that were looked at {stay}"]
    if done.forgotten:
        days = done.bin_s / _DAY_S
        said.append(
            f"`holdfast unforget` takes back what was forgotten for {days:g} {'day' if days == 1 else 'days'}; "
            "a prune after that frees the space"
        )
    if done.spared:
        said.append(
            f"{counted(done.spared, 'snapshot was', 'snapshots were')} spared, because something holds it by now"
        )
    if done.emptied:
        said.append(f"{counted(done.emptied, 'snapshot has', 'snapshots have')} left the bin")
    return said


def _summary(result: ForgetResult) -> Message:
    return {
        "message_type": "summary",
        "run_id": result.run_id,
        "status": result.status.value,
        "seconds_elapsed": seconds(result),
        "forgotten": result.done.forgotten,
        "stays": result.opened.stays,
        "spared": result.done.spared,
        "emptied": result.done.emptied,
        "bin_seconds": result.done.bin_s,
    }

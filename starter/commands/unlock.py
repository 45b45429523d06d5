"""`holdfast unlock` removes the locks of the dead, or all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.errors import EXIT_COMPLETE
from holdfast.ids import short, to_hex
from holdfast.repository.unlock import JudgedLock
from holdfast.repository.unlock import unlock as remove_locks
from holdfast.starter.requests.repositories import open_repository
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import say_flowed, say_json
from holdfast.units import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockOptions(CommonOptions):
    """Options of `unlock`."""

    remove_all: Annotated[
        bool,
        typer.Option("--remove-all", help="Remove all locks, those of the living too: when nobody uses it."),
    ] = False


def unlock(options: UnlockOptions) -> int:
    """Remove locks of processes that have ended, or have written nothing for 30 minutes; show those that stay."""
    judged = remove_locks(open_repository(Invocation.of(options)), everything=options.remove_all)
    if options.json:
        say_json({"message_type": "summary", "locks": [_document(lock) for lock in judged]})
    elif not options.quiet:
        _tell(judged)
    return EXIT_COMPLETE


def _tell(judged: Sequence[JudgedLock]) -> None:
    lines = [f"the lock {_holder(lock)} stays: {lock.why}" for lock in judged if not lock.removed]
    removed = sum(lock.removed for lock in judged)
    if removed:
        lines.append(f"successfully removed {counted(removed, 'lock')}")
    if removed < len(judged):
        lines.append(
            "`holdfast unlock --remove-all` removes all locks: only when nobody uses the repository."
        )
    say_flowed(lines)


def _holder(judged: JudgedLock) -> str:
    lock = judged.lock
    if lock is None:
        return short(judged.id)
    kind = "exclusive, " if lock.exclusive else ""
    return f"{short(judged.id)} ({kind}{lock.username} on {lock.hostname}, process {lock.pid})"


def _document(judged: JudgedLock) -> dict[str, object]:
    lock = judged.lock
    document: dict[str, object] = {"id": to_hex(judged.id), "removed": judged.removed, "reason": judged.why}
    if lock is not None:
        document |= {
            "time": lock.time,
            "exclusive": lock.exclusive,
            "hostname": lock.hostname,
            "username": lock.username,
            "pid": lock.pid,
        }
    return document

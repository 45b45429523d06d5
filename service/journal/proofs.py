"""Proofs are what the journal knows of snapshots that were found sound: read back whole, or restored in a drill."""

from collections.abc import Iterable
from typing import Final

from holdfast.ids import SnapshotId, from_hex, is_hex_id
from holdfast.retention.holds import Proofs
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord
from holdfast.terms import RunKind, RunStatus, VerifyLevel
from holdfast.verify.share import parse_share

PROVEN: Final = "proven"
"""The counter of a drill that says that all came back: 1."""
_LOOKED_AT: Final = 5_000
_DONE: Final = (RunStatus.COMPLETE, RunStatus.PARTIAL)


def proofs(journal: Journal, repository: str) -> Proofs:
    """What is proven of a repository's snapshots, by its name in the settings.

    Verified is a snapshot whose backup was verified in full, and each one from before a verification of the whole
    repository with all its packs: in one run, or in one of each part ("day/7", "2/7"). Drilled is one of which a drill
    got back all that it tried.

    Raises:
        JournalUnavailableError.
    """
    drilled = [
        run.snapshot_id
        for run in journal.runs(_LOOKED_AT, repositories=[repository], kind=RunKind.DRILL, statuses=_DONE)
        if run.counters.get(PROVEN, 0) == 1
    ]
    verified = [
        run.snapshot_id
        for run in journal.runs(_LOOKED_AT, repositories=[repository], kind=RunKind.BACKUP, statuses=_DONE)
        if _is_sound(run) and run.verdict is not None and run.verdict.level == VerifyLevel.FULL
    ]
    looked_at = [
        run
        for run in journal.runs(_LOOKED_AT, repositories=[repository], kind=RunKind.VERIFY, statuses=_DONE)
        if _is_sound(run) and not run.source
    ]
    return Proofs(
        verified=frozenset(map(_id, filter(is_hex_id, verified))),
        drilled=frozenset(map(_id, filter(is_hex_id, drilled))),
        verified_before_ns=_all_read_ns(looked_at),
    )


def _all_read_ns(runs: Iterable[RunRecord]) -> int:
    """What was there at this time has been read: by one run, or by the last ones of all parts; 0 for nothing.

    What a prune has moved from one part to another in between, that has read.
    """
    newest: dict[int, dict[int, int]] = {}
    for run in runs:
        share = parse_share(run.strategy or "none")
        part = 0 if share.is_all else share.part_at(run.started_ns)
        if part is not None:
            parts = newest.setdefault(share.parts, {})
            parts[part] = max(parts.get(part, 0), run.started_ns)
    read = (min(parts.values()) for count, parts in newest.items() if len(parts) == count)
    return max(read, default=0)


def _is_sound(run: RunRecord) -> bool:
    return run.verdict is not None and run.verdict.ok


def _id(text: str) -> SnapshotId:
    return SnapshotId(from_hex(text))

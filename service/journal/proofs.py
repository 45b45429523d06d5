"""Proofs are what the journal knows of snapshots that were found sound: read back whole, or restored in a drill."""

from typing import Final

from holdfast.ids import SnapshotId, from_hex, is_hex_id
from holdfast.retention.holds import Proofs
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord
from holdfast.terms import RunKind, RunStatus, VerifyLevel

PROVEN: Final = "proven"
"""The counter of a drill that says that all came back: 1."""
_LOOKED_AT: Final = 5_000
_WHOLE: Final = "all"
_DONE: Final = (RunStatus.COMPLETE, RunStatus.PARTIAL)


def proofs(journal: Journal, repository: str) -> Proofs:
    """What is proven of a repository's snapshots, by its name in the settings.

    Verified is a snapshot whose backup was verified in full, and each one from before a verification of the whole
    repository with all its packs. Drilled is one of which a drill got back all that it tried.

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
    whole = [
        run.started_ns
        for run in journal.runs(_LOOKED_AT, repositories=[repository], kind=RunKind.VERIFY, statuses=_DONE)
        if _is_sound(run) and not run.source and run.strategy == _WHOLE
    ]
    return Proofs(
        verified=frozenset(map(_id, filter(is_hex_id, verified))),
        drilled=frozenset(map(_id, filter(is_hex_id, drilled))),
        verified_before_ns=max(whole, default=0),
    )


def _is_sound(run: RunRecord) -> bool:
    return run.verdict is not None and run.verdict.ok


def _id(text: str) -> SnapshotId:
    return SnapshotId(from_hex(text))

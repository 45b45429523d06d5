"""What is sound in damaged packs is saved, and these packs go.

Which ones: those that are named; else those that are marked as damaged (repository/damage.py), those that are not
there, and those whose files have another size than the index says. Each is read again, blob by blob, and marked by what
is found: a pack that turns out to be sound stays. Then all that are damaged go, even where snapshots need what is lost
in them (verify/mend.py has the steps, and what a crash leaves). What no other pack has is lost to all snapshots:
`repair snapshots` stores those again without it, and a full backup stores again what the source still has.

The entries of the index say what a pack holds, so the index is to be repaired first.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from holdfast.errors import UsageError
from holdfast.ids import PackId, from_hex, is_hex_id
from holdfast.repair.documents import LOST, Lost, PlannedPack, RepairRun, Report, ShardPlan, ShardResult
from holdfast.repository.documents import decide
from holdfast.repository.session import HeldRepository
from holdfast.runs.attempts import Attempt
from holdfast.runs.progress import Progress
from holdfast.verify.mend import diagnose, diagnose_and_mark, mend, without_sound_copy

_SHARD_BYTES: Final = 1 << 30
_AT_ONCE: Final = 16
"""Packs for which the index files are gone through together."""


def check_names(names: Sequence[str]) -> None:
    """Raises UsageError: one is no whole id of a pack."""
    for name in names:
        if not is_hex_id(name):
            raise UsageError(
                f"not the id of a pack: {name[:80]!r}",
                hint="Give all 64 digits, as `holdfast verify` and `restic check` show them.",
            )


def packs_to_read(held: HeldRepository, names: Sequence[str]) -> list[PlannedPack]:
    """The packs that are named; without names, those that are known or seen to be damaged.

    Raises:
        UsageError: the index does not name one that was named.
        StorageUnavailableError: the storage does not answer.
    """
    index = held.index
    if names:
        packs = [PackId(from_hex(name)) for name in dict.fromkeys(names)]
        unknown = next((pack for pack in packs if not index.has_pack(pack)), None)
        if unknown is not None:
            raise UsageError(
                f"no index file names the pack {unknown.hex()}",
                hint="`holdfast repair index` adds packs that are there and not in the index.",
            )
    else:
        sizes = held.stored_sizes([pack.id for pack in index.packs()])
        wrong = (pack.id for pack in index.packs() if sizes[pack.id] != pack.size_bytes)
        packs = sorted({*wrong, *(pack for pack in index.damage if index.has_pack(pack))})
    described = ((pack, index.pack(pack)) for pack in packs)
    return [PlannedPack(pack, 0 if info is None else info.size_bytes) for pack, info in described]


def cut(packs: Sequence[PlannedPack]) -> Iterator[ShardPlan]:
    """Packs in shards of some size."""
    shard: list[PlannedPack] = []
    size_bytes = 0
    for pack in packs:
        shard.append(pack)
        size_bytes += pack.size_bytes
        if size_bytes >= _SHARD_BYTES:
            yield ShardPlan(packs=tuple(shard))
            shard, size_bytes = [], 0
    if shard:
        yield ShardPlan(packs=tuple(shard))


def read_packs(
    run: RepairRun,
    packs: Sequence[PlannedPack],
    reached: ShardResult,
    attempt: Attempt,
    progress: Progress,
    *,
    dry_run: bool,
) -> ShardResult:
    """Read packs blob by blob, and mark them by what is found, unless that is only to be looked at.

    Raises:
        FencedError: a newer attempt has taken over, or the run was closed.
        StorageUnavailableError: the storage does not answer. LockLostError: before the pack is marked.
    """
    while reached.done < len(packs):
        batch = packs[reached.done : reached.done + _AT_ONCE]
        with run.session.hold() as held:
            found = (diagnose if dry_run else diagnose_and_mark)(held, {PackId(pack.id) for pack in batch})
        reached = ShardResult(
            done=reached.done + len(batch),
            bytes_read=reached.bytes_read + sum(pack.size_bytes for pack in batch),
            damaged=(*reached.damaged, *(damaged.pack for damaged in found.damaged)),
        )
        progress(reached.done, reached.bytes_read)
        attempt.save(reached)
    return reached


def save_and_remove(run: RepairRun, shards: int, *, dry_run: bool) -> Report:
    """Save what is sound in the packs that were found damaged, and remove them.

    Raises:
        RunStateError: results of the run are gone.
        RepositoryLockedError: the repository is in use; nothing was done.
        CorruptFileError: an index file cannot be read; nothing was done.
        StorageUnavailableError, StorageFullError, LockLostError: begun; doing it again finishes it.
    """
    results = list(run.plan.results(shards))
    damaged = {PackId(pack) for result in results for pack in result.damaged}
    with run.session.hold() as held:
        lost = without_sound_copy(held, diagnose(held, damaged).damaged)
    counted = decide(run.workspace, LOST, Lost(blobs=len(lost)))  # afterwards nobody can tell
    report = Report(packs_read=sum(result.done for result in results), blobs_lost=counted.blobs)
    if damaged and not dry_run:
        mend(run.session, damaged)
    report.packs_removed = len(damaged)
    return report

"""The reasons for which a prune does not go on, each with what to do. When one is raised, nothing is removed."""

import time
from collections.abc import Collection, Iterable
from typing import Final, NoReturn

from holdfast.errors import (
    AlarmOpenError,
    BlobMissingError,
    CorruptFileError,
    HoldfastError,
    StorageUnavailableError,
    UsageError,
)
from holdfast.format.index import BlobType
from holdfast.ids import PackId, SnapshotId, short
from holdfast.prune.documents import PruneOrder, PrunePlan
from holdfast.repository.layout import SNAPSHOTS, file_name
from holdfast.repository.repository import Repository
from holdfast.repository.session import HeldRepository
from holdfast.storage.parallel import ask_all
from holdfast.units import NS_PER_S, counted

MOST_SKEW_S: Final = 300.0
VERIFIED_WITHIN_DAYS: Final = 45
_HALF: Final = 0.5
_SHOWN: Final = 5
_NS_PER_DAY: Final = 86_400 * NS_PER_S


_SETTLE: Final = "Look at it, then say that it is settled, or what has to go back."


def _while_open(alarm: str) -> str:
    return f"nothing is removed while an alarm is open: {alarm}"


def refuse_alarm(alarm: str) -> None:
    """An alarm holds everything until a person decides. alarm: what it says; empty where none is open.

    Raises:
        UsageError: there is one.
    """
    if alarm:
        raise UsageError(_while_open(alarm), hint=_SETTLE)


def put_off(alarm: str) -> None:
    """What is to go anyhow can wait for the decision: nobody needs it, unless a person finds out that somebody does.

    Raises:
        AlarmOpenError: there is one.
    """
    if alarm:
        raise AlarmOpenError(_while_open(alarm), hint=_SETTLE)


def refuse_skew(held: HeldRepository) -> None:
    """Ages of locks and marks are told by the storage's clock and ours.

    Raises:
        UsageError: they differ by more than five minutes.
    """
    skew_s = held.clock_skew_s()
    if abs(skew_s) > MOST_SKEW_S:
        raise UsageError(
            f"{held.repository.storage.location}: this host's clock is {abs(skew_s) / 60:.0f} minutes "
            f"{'ahead of' if skew_s > 0 else 'behind'} the storage's",
            hint="Nothing was removed. Set the clocks, and repeat.",
        )


def refuse_unseen(repository: Repository, hosts: Collection[str]) -> None:
    """Checkpoints, holds and bins of other hosts are not seen from here, nor what this one condemns from there.

    hosts: those that snapshots are of, and this one.

    Raises:
        UsageError: the companion is this host's alone, and several hosts use the repository.
    """
    if repository.is_private and len(hosts) > 1:
        raise UsageError(
            f"{repository.storage.location}: {counted(len(hosts), 'host uses', 'hosts use')} it "
            f"({', '.join(sorted(hosts)[:_SHOWN])}), "
            "and none sees what the others hold, have in the bin, or are about to store",
            hint="Nothing was removed. Name a `companion` that all of them reach, in the settings of each.",
        )


def refuse_unreadable_snapshot(snapshot: SnapshotId, error: HoldfastError) -> NoReturn:
    """For `list_snapshots`: what a snapshot needs that cannot be read, nobody knows.

    Raises:
        CorruptFileError: always.
    """
    raise CorruptFileError(
        f"the snapshot {short(snapshot)} cannot be read, so nobody knows what it needs: {error.message}",
        hint="Nothing was removed. `holdfast repair snapshots --forget` or a copy of the file helps; or remove it.",
    ) from error


def refuse_missing(missing: Collection[tuple[bytes, BlobType]]) -> None:
    """A blob that is needed is in no index: more may be missing, or an index file.

    Raises:
        BlobMissingError: there is one.
    """
    if missing:
        shown = ", ".join(f"{kind.name.lower()} {short(blob)}" for blob, kind in sorted(missing)[:_SHOWN])
        what = counted(len(missing), "blob that snapshots need is", "blobs that snapshots need are")
        raise BlobMissingError(
            f"{what} in no index: {shown}",
            hint="Nothing was removed. `holdfast verify` says what is lost; `holdfast repair index` finds what is not.",
        )


def refuse_unknown(names: Collection[str], location: str) -> None:
    """What the listing shows and nobody knows may belong to another program.

    Raises:
        UsageError: there is such a file.
    """
    if names:
        shown = ", ".join(sorted(names)[:_SHOWN])
        raise UsageError(
            f"{location}: {counted(len(names), 'file there is no pack', 'files there are no packs')}: {shown}",
            hint="Nothing was removed. Move them to another place, or remove them if they are nobody's.",
        )


def refuse_bad_packs(bad: Iterable[tuple[PackId, int | None, int]], location: str) -> None:
    """Packs that something needs, as (id, size in the storage or None, size by the index).

    Raises:
        CorruptFileError: there is one.
    """
    found = list(bad)
    if found:
        pack, size, wanted = found[0]
        what = "is not there" if size is None else f"has {size} bytes instead of {wanted}"
        packs = counted(len(found), "pack that snapshots need is", "packs that snapshots need are")
        raise CorruptFileError(
            f"{location}: {packs} not whole; {short(pack)} {what}",
            hint="Nothing was removed. `holdfast verify` says what is lost with them, and marks them.",
        )


def refuse_unverified(order: PruneOrder, plan: PrunePlan) -> None:
    """Where more than half would go, something may be wrong with what is left.

    Raises:
        UsageError: it was not verified lately.
    """
    age_ns = time.time_ns() - order.verified_ns
    is_large = plan.freed_bytes > _HALF * (plan.total.size_bytes + plan.unnamed.size_bytes)
    if is_large and age_ns > VERIFIED_WITHIN_DAYS * _NS_PER_DAY:
        raise UsageError(
            f"more than half of {plan.repository} would go, and it was not verified in {VERIFIED_WITHIN_DAYS} days",
            hint="Nothing was removed. Run `holdfast verify`, look at the plan, and repeat.",
        )


def gone_snapshots(
    repository: Repository, walked: Collection[SnapshotId], listed: Collection[SnapshotId]
) -> set[SnapshotId]:
    """Those that were walked and are no longer there.

    Raises:
        StorageUnavailableError: one is there, and the listing does not show it: nobody knows what else it leaves out.
    """
    absent = list(set(walked).difference(listed))
    storage = repository.storage
    sizes = ask_all(storage, lambda snapshot: storage.size_or_none(file_name(SNAPSHOTS, snapshot)), absent)
    hidden = [snapshot for snapshot, size in zip(absent, sizes, strict=True) if size is not None]
    if hidden:
        raise StorageUnavailableError(
            f"{storage.location}: a listing leaves out the snapshot {short(hidden[0])}, which is there",
            hint="Nothing was removed. A storage whose listings leave things out cannot be pruned; ask who runs it.",
        )
    return set(absent)

"""A forgetting is opened, carried out and closed: what goes is decided once, and then goes one by one into the bin.

    1. under the shared lock snapshots are listed, holds, alarms and what the journal knows are looked up, and the
       decision is made. It is the run's document `opening`: every later attempt takes it over;
    2. each snapshot that goes is put into the bin and removed (bin.py), unless a hold or an alarm has come since.
       Attempts may do this twice, or at once: what has gone is gone, and the bin has it. A hold that comes in this very
       moment is looked for after the removal, and then the snapshot comes back; holding looks for the snapshot after
       writing the hold, so one of both sees the other;
    3. the bin lets go of what is past its time;
    4. `report` says what came of it. The workspace goes when the run's record is written.

A crash between two of these leaves some forgotten, and in the bin; the next attempt goes on.
"""

from collections.abc import Callable, Sequence
from typing import Final

from holdfast.errors import SnapshotNotFoundError, StorageDeniedError, StoredFileMissingError, UsageError
from holdfast.ids import SnapshotId, short, to_hex
from holdfast.repository.documents import decide as decide_once
from holdfast.repository.layout import SNAPSHOTS, file_name
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import (
    StoredSnapshot,
    find_snapshot,
    list_snapshots,
    load_snapshot,
    raise_unreadable,
)
from holdfast.retention.bin import bin_roots, empty_bin, forget_snapshot, take_back
from holdfast.retention.decision import Decision, GroupVerdict, Verdict, decide
from holdfast.retention.documents import REPORT, ForgetOrder, ForgetReport, Going, Opening
from holdfast.retention.groups import BY_SOURCE, Group, grouped, parse_group_by
from holdfast.retention.holds import Proofs, hold_on, protections
from holdfast.retention.policy import EMPTY
from holdfast.retention.protection import Protections
from holdfast.retention.rules import Rules
from holdfast.retention.sizes import Usage
from holdfast.runs.opening import load_opening, open_run
from holdfast.runs.run import Run

NAMED: Final = "named"


class ForgetRun(Run):
    """One run of a forgetting."""


def decide_order(
    held: HeldRepository,
    order: ForgetOrder,
    rules: Rules,
    proofs: Proofs,
    now_ns: int,
    check: Callable[[], None] = lambda: None,
) -> Decision:
    """What an order makes go, and what stays, with the reasons; nothing is changed.

    Raises:
        UsageError: nothing says what goes; what is named is held; the rules would keep nothing of a group; or the
            filters go with ids.
        SnapshotNotFoundError: none is of that id.
        CorruptFileError: a snapshot, a hold or an alarm cannot be read, so nobody knows what may go.
    """
    repository = held.repository
    if order.snapshots:
        return _named(held, order, proofs, now_ns)
    if order.policy.is_empty and rules.is_empty and not order.remove_all:
        raise UsageError(
            "no policy says what stays, so nothing is forgotten",
            hint="Give --keep-last 7 or the like, snapshots by their ids, or a table [sources.NAME.retention].",
        )
    own = order.remove_all or not order.policy.is_empty
    if not own and order.group_by != BY_SOURCE:
        raise UsageError(
            "--group-by needs a policy of its own: the settings' policies are about sources",
            hint="Give --keep-last 7 or the like, or leave --group-by out.",
        )
    if order.remove_all and order.policy.is_empty and not order.is_filtered:
        raise UsageError(
            "--unsafe-allow-remove-all would forget everything",
            hint="Say which snapshots are meant: --host, --path or --tag.",
        )
    everything = list_snapshots(repository, on_unreadable=raise_unreadable)
    looked_at = [stored for stored in everything if order.which.takes(stored.snapshot)]
    groups = grouped(looked_at, parse_group_by(order.group_by))
    if order.source:
        groups = {group: those for group, those in groups.items() if group.source == order.source}
    return decide(
        groups,
        (lambda _: order.policy) if own else rules.of,
        protections(repository, everything, proofs, now_ns),
        now_ns,
        adding=lambda: Usage(held, check).add,
        size_bytes=None if own or order.is_filtered else rules.size_bytes,
        remove_all=order.remove_all,
    )


def open_forgetting(
    run: ForgetRun,
    order: ForgetOrder,
    rules: Rules,
    proofs: Proofs,
    *,
    now_ns: int,
    by: str,
    check: Callable[[], None] = lambda: None,
) -> Opening:
    """Open the run, or find it open: what goes is decided once.

    Raises:
        StorageDeniedError: the repository is only read.
        As `decide_order`; RepositoryLockedError, StorageUnavailableError, …: from the repository.
    """
    if not run.session.locked:
        raise StorageDeniedError(
            f"{run.session.repository.storage.location}: it is only read, so nothing can be forgotten there",
            hint="Mount it for writing, or leave --no-lock out.",
        )
    with run.session.hold() as held:

        def made() -> Opening:
            decision = decide_order(held, order, rules, proofs, now_ns, check)
            going = [Going(verdict.stored.id, verdict.reasons[0]) for verdict in decision.going]
            return Opening(
                decided_ns=now_ns,
                going=tuple(going),
                stays=len(decision.verdicts) - len(going),
                bin_s=rules.bin_s,
                by=by,
            )

        opening, _ = open_run(run.workspace, Opening, made)
    return opening


def carry_out(
    run: ForgetRun, *, now_ns: int, on_forgotten: Callable[[int], None] = lambda _: None
) -> ForgetReport:
    """Forget what was decided; the report that stands. on_forgotten: told how many are done; may raise to end it.

    Raises:
        RunClosedError: the run is over.
        LockLostError, StorageUnavailableError, …: from the repository; what is forgotten stays so.
    """
    opening = load_opening(run.workspace, Opening)
    forgotten: list[bytes] = []
    spared: list[Going] = []
    with run.session.hold() as held:
        known = protections(held.repository, (), Proofs(), now_ns)
        for number, going in enumerate(opening.going, start=1):
            snapshot_id = SnapshotId(going.snapshot)
            holding = _holding(held, snapshot_id, known, now_ns)
            if not holding:
                forget_snapshot(
                    held, snapshot_id, now_ns=now_ns, keep_s=opening.bin_s, by=opening.by, reason=going.reason
                )
                holding = _held_since(held, snapshot_id, now_ns)
            if holding:
                spared.append(Going(snapshot_id, holding))
            else:
                forgotten.append(snapshot_id)
            on_forgotten(number)
        emptied = empty_bin(held.repository, now_ns)
    report = ForgetReport(forgotten=tuple(forgotten), spared=tuple(spared), emptied=emptied)
    return decide_once(run.workspace, REPORT, report)


def roots(held: HeldRepository) -> list[StoredSnapshot]:
    """All snapshots whose data is in use: those that are there, and those in the bin; each once."""
    there = list_snapshots(held.repository, on_unreadable=raise_unreadable)
    return list({stored.id: stored for stored in (*there, *bin_roots(held.repository))}.values())


def _holding(held: HeldRepository, snapshot_id: SnapshotId, known: Protections, now_ns: int) -> str:
    """What has come to hold a snapshot since it was decided that it goes; empty for nothing."""
    if not known.held and not known.alarms:
        return ""
    try:
        stored = load_snapshot(held.repository, snapshot_id)
    except StoredFileMissingError:
        return ""
    return ", ".join(known.holding(stored, now_ns))


def _held_since(held: HeldRepository, snapshot_id: SnapshotId, now_ns: int) -> str:
    """Take back what a person has held while it was forgotten; the hold's reason, empty where there is none, or where
    another program has removed the snapshot, which leaves nothing to take back."""
    repository = held.repository
    one = hold_on(repository, snapshot_id)
    if one is None or not one.stands(now_ns):
        return ""
    try:
        take_back(held, to_hex(snapshot_id))
    except (
        SnapshotNotFoundError
    ):  # not in the bin: then another attempt has taken it back, or it is not ours to
        if repository.storage.size_or_none(file_name(SNAPSHOTS, snapshot_id)) is None:
            return ""
    return f"held: {one.reason} ({one.by})"


def _named(held: HeldRepository, order: ForgetOrder, proofs: Proofs, now_ns: int) -> Decision:
    if order.is_filtered or not order.policy.is_empty:
        raise UsageError(
            "snapshots are named, so filters and --keep options say nothing",
            hint="Leave either of both out.",
        )
    found = {
        stored.id: stored for stored in (find_snapshot(held.repository, name) for name in order.snapshots)
    }
    known = protections(held.repository, (), proofs, now_ns)
    for stored in found.values():
        holding = known.holding(stored, now_ns)
        if holding:
            raise UsageError(
                f"the snapshot {short(stored.id)} stays: {', '.join(holding)}",
                hint="`holdfast holds` shows what is held, `holdfast release` lets go of it. Nothing was removed.",
            )
    verdicts = [Verdict(stored=stored, stays=False, reasons=(NAMED,)) for stored in found.values()]
    return Decision(groups=(_unnamed(verdicts),))


def _unnamed(verdicts: Sequence[Verdict]) -> GroupVerdict:
    return GroupVerdict(group=Group(), policy=EMPTY, verdicts=tuple(verdicts))

"""Which strategy and which parent: a pure choice from the snapshots that exist.

Every snapshot is complete by itself; a strategy says against which parent a run compares, and so what it reads.
Runs leave their strategy in the snapshot's tags, because tags survive `restic tag` and `rewrite`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from holdfast.errors import SnapshotNotFoundError
from holdfast.format.snapshot import Snapshot
from holdfast.format.tags import has_strategy
from holdfast.format.times import parse_time
from holdfast.ids import SnapshotId, to_hex
from holdfast.terms import Strategy
from holdfast.units import NS_PER_S, counted

MAX_FULL_AGE_NS: Final = 90 * 86_400 * NS_PER_S
MAX_CHANGED_SHARE: Final = 0.5
_SHOWN_IDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A snapshot that could be a parent."""

    id: SnapshotId
    snapshot: Snapshot

    @property
    def time_ns(self) -> int:
        return parse_time(self.snapshot.time)

    @property
    def is_full(self) -> bool:
        return has_strategy(self.snapshot, Strategy.FULL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The decision. parent is None when every file is read; reason says why, for people."""

    strategy: Strategy
    reason: str
    parent: Candidate | None


def choose(
    strategy: Strategy, candidates: Iterable[Candidate], *, host: str, paths: Sequence[str], now_ns: int
) -> Choice:
    """Decide strategy and parent among the snapshots of the same host and paths that are not after `now_ns`."""
    wanted = sorted(paths)
    own = [c for c in candidates if c.snapshot.hostname == host and sorted(c.snapshot.paths or ()) == wanted]
    ahead = [to_hex(c.id)[:8] for c in own if c.time_ns > now_ns]
    own = sorted((c for c in own if c.time_ns <= now_ns), key=lambda c: c.time_ns)
    choice = _choose(strategy, own, now_ns)
    if not ahead:
        return choice
    note = f"snapshots that are dated later than this run were passed over: {', '.join(ahead[:_SHOWN_IDS])}"
    return replace(choice, reason=f"{choice.reason}; {note}" if choice.reason else note)


def _choose(strategy: Strategy, own: Sequence[Candidate], now_ns: int) -> Choice:
    fulls = [c for c in own if c.is_full]
    if strategy is Strategy.FULL:
        return Choice(strategy=Strategy.FULL, reason="asked for", parent=None)
    if strategy is Strategy.INCREMENTAL:
        return _incremental(own, "asked for")
    if strategy is Strategy.DIFFERENTIAL:
        if not fulls:
            return Choice(
                strategy=Strategy.FULL,
                reason="differential was asked for, but there is no full one",
                parent=None,
            )
        return Choice(strategy=Strategy.DIFFERENTIAL, reason="asked for", parent=fulls[-1])
    return _auto(own, fulls, now_ns)


def choose_named(strategy: Strategy, prefix: str, candidates: Iterable[Candidate]) -> Choice:
    """The parent that was asked for by id or prefix.

    Raises:
        SnapshotNotFoundError: none or several snapshots match.
    """
    found = [c for c in candidates if to_hex(c.id).startswith(prefix.lower())]
    if len(found) != 1:
        how_many = (
            "no snapshot begins" if not found else counted(len(found), "snapshot begins", "snapshots begin")
        )
        raise SnapshotNotFoundError(
            f"{how_many} with {prefix!r}",
            hint="`holdfast snapshots` lists the ids that can be a parent",
        )
    kind = Strategy.INCREMENTAL if strategy in (Strategy.AUTO, Strategy.FULL) else strategy
    return Choice(strategy=kind, reason="the parent was named", parent=found[0])


def _incremental(own: Sequence[Candidate], reason: str) -> Choice:
    if not own:
        return Choice(
            strategy=Strategy.FULL, reason="there is no earlier snapshot of this source", parent=None
        )
    return Choice(strategy=Strategy.INCREMENTAL, reason=reason, parent=own[-1])


def _auto(own: Sequence[Candidate], fulls: Sequence[Candidate], now_ns: int) -> Choice:
    if not fulls:
        if own:
            return _incremental(own, "an earlier snapshot exists, made without Holdfast's strategies")
        return _incremental(own, "")
    last_full = fulls[-1]
    if now_ns - last_full.time_ns > MAX_FULL_AGE_NS:
        return Choice(
            strategy=Strategy.FULL, reason="the last full backup is older than 90 days", parent=None
        )
    since = [c for c in own if c.time_ns > last_full.time_ns]
    added = sum(c.snapshot.summary.data_added for c in since if c.snapshot.summary is not None)
    whole = 0 if last_full.snapshot.summary is None else last_full.snapshot.summary.total_bytes_processed
    if whole and added > MAX_CHANGED_SHARE * whole:
        return Choice(
            strategy=Strategy.FULL,
            reason="changes since the last full backup outgrow half of it",
            parent=None,
        )
    return _incremental(own, "changes are small and the last full backup is recent")

"""Stock restic prunes what is in the bin: that stops no prune of ours, and nothing else of the bin goes with it."""

import time
from collections.abc import Callable

import pytest

from holdfast.errors import BlobMissingError
from holdfast.ids import SnapshotId, from_hex
from holdfast.prune.mark import mark_shard
from holdfast.prune.opening import open_prune
from holdfast.repository.session import RepositorySession
from holdfast.retention.bin import forget_snapshot, take_back
from tests.prune.conftest import Place
from tests.support.engine import nothing, open_session
from tests.support.pruning import PruneReport, Pruning, binned, everything


def forget(session: RepositorySession, snapshot: str) -> None:
    with session.hold() as held:
        forget_snapshot(
            held, SnapshotId(from_hex(snapshot)), now_ns=time.time_ns(), keep_s=3600.0, by="Ann", reason="old"
        )


def before_opening(session: RepositorySession, meanwhile: Callable[[], None]) -> PruneReport:
    meanwhile()
    return Pruning(session, order=everything(roots=binned(session))).run()


def before_marking(session: RepositorySession, meanwhile: Callable[[], None]) -> PruneReport:
    pruning = Pruning(session, order=everything(roots=binned(session)))
    open_prune(pruning.prune, pruning.order, time.time_ns())
    meanwhile()
    return pruning.run()


def before_the_plan(session: RepositorySession, meanwhile: Callable[[], None]) -> PruneReport:
    pruning = Pruning(session, order=everything(roots=binned(session)))
    opened = open_prune(pruning.prune, pruning.order, time.time_ns())
    for shard in range(opened.shards):
        mark_shard(pruning.prune, shard, nothing)
    meanwhile()
    return pruning.run()


def before_the_switch(session: RepositorySession, meanwhile: Callable[[], None]) -> PruneReport:
    return Pruning(session, order=everything(roots=binned(session))).run(before_switch=meanwhile)


@pytest.mark.parametrize("run", [before_opening, before_marking, before_the_plan, before_the_switch])
def test_what_stock_restic_has_pruned_of_the_bin_stops_no_prune(
    place: Place, run: Callable[[RepositorySession, Callable[[], None]], PruneReport]
) -> None:
    place.change(30)
    place.backup("third")
    pruned, safe, _ = place.snapshots()

    def meanwhile() -> None:
        place.restic("prune", "--max-unused", "0")
        forget(session, safe)

    with open_session(place.repository, small=True) as session:
        forget(session, pruned)
        run(session, meanwhile)
        with session.hold() as held:
            with pytest.raises(BlobMissingError):
                take_back(held, pruned)
            take_back(held, safe)
    place.assert_whole(snapshots=2)


@pytest.mark.parametrize("which", [slice(None), slice(1)])
def test_nothing_of_the_bin_goes_while_it_lacks_something(place: Place, which: slice) -> None:
    """An index file was lost, and no pack: neither what no index names, nor what is left, is removed."""
    index = place.repository / "index"
    before = {*index.iterdir()}
    place.change(40)
    place.backup("third")
    written = sorted({*index.iterdir()} - before, key=lambda path: path.stat().st_mtime_ns)
    assert len(written) > 1
    lost = {path: path.read_bytes() for path in written[which]}
    newest = place.snapshots()[-1]
    with open_session(place.repository, small=True) as session:
        forget(session, newest)
    for path in lost:
        path.unlink()
    place.age()
    with open_session(place.repository, small=True) as session:
        assert Pruning(session, order=everything(roots=binned(session))).run().unnamed_packs == 0
    for path, content in lost.items():
        path.write_bytes(content)
    with open_session(place.repository, small=True) as session, session.hold() as held:
        take_back(held, newest)
    place.assert_whole(snapshots=3)

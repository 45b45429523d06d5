"""A prune by itself, and beside stock restic and our own backups, at each place where they may meet."""

import json
import os

import pytest

from holdfast.backup.documents import Checkpoint, Mark
from holdfast.errors import RepositoryLockedError
from holdfast.format.index import BlobType
from holdfast.ids import BlobId, PackId
from holdfast.prune.documents import PackList, Root
from holdfast.prune.plan import DROP, MOVE
from holdfast.prune.switch import switch
from holdfast.repository.condemned import are_condemned
from holdfast.repository.documents import encode
from holdfast.repository.index.marks import BlobMarks, PackUse
from holdfast.repository.index.rewrite import entries_of
from holdfast.repository.session import RepositorySession
from tests.prune.conftest import Place
from tests.support.engine import EngineRun, counted_session, nothing, open_session
from tests.support.pruning import Pruning, everything, has_work


def test_what_nobody_needs_goes_and_all_the_rest_stays(place: Place) -> None:
    before = place.packs()
    with open_session(place.repository, small=True) as session:
        pruning = Pruning(session)
        plan = pruning.plan()
        report = pruning.run()
    assert plan.drop.packs > 0
    assert plan.move.packs > 0
    assert report.deleted_packs == plan.drop.packs + plan.move.packs
    assert report.freed_bytes > 0
    assert len(before - place.packs()) == report.deleted_packs
    assert sum(path.stat().st_size for path in (place.repository / "data").rglob("*") if path.is_file()) < (
        plan.total.size_bytes - 0.9 * plan.unused_bytes
    )
    place.assert_sound(snapshots=2)
    assert "unused size after prune: 0 B" in place.restic("prune", "--dry-run", "--max-unused", "unlimited")


def test_a_second_prune_finds_nothing_to_do_and_reads_no_data(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        Pruning(session).run()
    packs = place.packs()
    with counted_session(place.repository, small=True) as (session, storage):
        plan = Pruning(session, "second").plan()
        report = Pruning(session, "second").run()
        trees = {pack.id for pack in _tree_packs(session)}
    assert not has_work(plan)
    assert report.deleted_packs == 0
    assert place.packs() == packs
    read = {
        name.rpartition("/")[2] for call, name in storage.names if call == "get" and name.startswith("data/")
    }
    assert read <= {pack.hex() for pack in trees}
    assert ("put", "index") not in storage.calls


def _tree_packs(session: RepositorySession) -> list[PackUse]:
    with session.hold() as held:
        return [use for use in BlobMarks(held.index).uses() if use.kind is BlobType.TREE]


def test_each_step_may_be_done_twice(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        first, second = Pruning(session), Pruning(session)
        plan = first.plan()
        assert second.plan() == plan
        first.repack(plan)
        second.repack(plan)
        switched = first.switch()
        assert second.switch() == switched
        first.delete(switched)
        second.delete(switched)
        first.finish()
    place.assert_sound(snapshots=2)


def test_what_a_stock_backup_uses_again_is_taken_back(place: Place) -> None:
    """A file of a forgotten snapshot comes back: its content lies in packs that the plan lets go."""
    with open_session(place.repository, small=True) as session:
        pruning = Pruning(session)
        plan = pruning.plan()
        pruning.repack(plan)
        lost = _restored_from_packs(place, pruning)
        report = pruning.run()
    assert report.taken_back > 0
    place.assert_sound(snapshots=3)
    target = place.folder / "restored"
    place.restic("restore", "latest", "--target", target)
    assert {path.read_bytes() for path in target.rglob("*") if path.is_file()} == lost


def _restored_from_packs(place: Place, pruning: Pruning) -> set[bytes]:
    """Have restic back up what packs that go hold; the contents."""
    again = place.folder / "again"
    again.mkdir()
    contents: set[bytes] = set()
    plan = pruning.prune.plan
    with pruning.session.hold() as held:
        going = {
            pack for name in (DROP, MOVE) for pack in plan.beside(0, plan.page(0), name, PackList).packs()
        }
        for index_id in held.files.files:
            for pack in held.index.packs_of(index_id):
                if pack.id in going:
                    for blob in pack.columns.pack.blobs:
                        if blob.type is BlobType.DATA:
                            contents.add(held.loader.load(BlobId(blob.id), BlobType.DATA))
    assert contents
    for number, content in enumerate(contents):
        (again / str(number)).write_bytes(content)
    summary = json.loads(place.restic("backup", "--json", again).splitlines()[-1])
    assert summary["data_blobs"] == 0, "restic found all of it in the index"
    return contents


def test_a_stock_forget_and_prune_between_plan_and_switch(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        report = Pruning(session).run(
            before_switch=lambda: place.restic("forget", place.snapshots()[0], "--prune", "--max-unused", "0")
        )
    assert report.left == 0
    place.assert_sound(snapshots=1)


def test_a_stock_prune_between_switch_and_deletion(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        report = Pruning(session).run(before_delete=lambda: place.restic("prune", "--max-unused", "0"))
    assert report.left == 0
    place.assert_sound(snapshots=2)


def test_a_stock_repair_between_switch_and_deletion_has_packs_spared(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        report = Pruning(session).run(before_delete=lambda: place.restic("rebuild-index"))
    assert report.spared > 0
    assert report.deleted_packs == 0
    place.assert_sound(snapshots=2)


def test_stock_unlock_takes_no_lock_that_is_kept(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        Pruning(session).run(
            before_switch=lambda: place.restic("unlock"), before_delete=lambda: place.restic("unlock")
        )
    place.assert_sound(snapshots=2)


def test_our_backup_between_plan_and_switch_keeps_what_it_needs(place: Place) -> None:
    place.change(9)
    with open_session(place.repository, small=True) as session:
        Pruning(session).run(before_switch=lambda: place.backup("between"))
    place.assert_sound(snapshots=3)


def test_nothing_is_switched_while_another_client_uses_the_repository(place: Place) -> None:
    with open_session(place.repository, small=True) as session, open_session(place.repository) as other:
        pruning = Pruning(session)
        plan = pruning.plan()
        pruning.repack(plan)
        before = sorted(os.listdir(place.repository / "index"))
        with other.hold(), pytest.raises(RepositoryLockedError):
            switch(pruning.prune, nothing, wait_s=1.5)
        assert sorted(os.listdir(place.repository / "index")) == before
        pruning.run()
    place.assert_sound(snapshots=2)


def test_a_checkpoint_that_names_condemned_packs_is_not_believed(place: Place) -> None:
    """A shard was killed after its index file was written: its checkpoint stands, and no snapshot uses the packs."""
    place.change(20)
    with open_session(place.repository, small=True) as session:
        run = EngineRun.of(session, place.source, run_id="paused")
        run.open()
        pages = run.select()
        shards = range(sum(page.shards for page in pages))
        shard, first = next((shard, found) for shard in shards if (found := run.store(shard)).packs)
        stored = [PackId(pack) for pack in first.packs]
        run.backup.plan.do_again(shard)
        attempt = run.backup.plan.attempt(shard)
        attempt.claim(encode(Mark(start=0, position=0)))
        attempt.save(
            Checkpoint(
                outcomes=first.outcomes,
                position=first.totals.bytes_read,
                open_file=None,
                pending=tuple(entries_of(session.repository, stored).values()),
                packs=first.packs,
                totals=first.totals,
            )
        )
        pruning = Pruning(session)
        plan = pruning.plan()
        pruning.repack(plan)
        switched = pruning.switch()
        assert are_condemned(session.repository, stored)
        again = run.store(shard)
        assert not set(again.packs) & set(first.packs)
        pruning.delete(switched)
        for other in shards:
            run.store(other)
        assert run.commit(pages).result is not None
        pruning.finish()
    place.assert_sound(snapshots=3)


def test_what_another_prune_has_let_off_is_not_deleted(place: Place) -> None:
    """The list of condemned packs goes when another prune is alone; from then on checkpoints that name them count."""
    with open_session(place.repository, small=True) as session:
        first, second = Pruning(session), Pruning(session, "second")
        first.repack(first.plan())
        switched = first.switch()
        second.repack(second.plan())
        second.switch()
        before = place.packs()
        first.delete(switched)
        report = first.finish()
    assert (report.deleted_packs, report.left) == (0, switched.packs)
    assert place.packs() == before
    place.assert_whole(snapshots=2)


def test_what_is_in_the_bin_counts_as_used(place: Place) -> None:
    newest = place.snapshots()[-1]
    tree = json.loads(place.restic("cat", "snapshot", newest))["tree"]
    kept = place.folder / "kept"
    (place.repository / "snapshots" / newest).rename(kept)
    with open_session(place.repository, small=True) as session:
        Pruning(session, order=everything(roots=(Root(bytes.fromhex(tree)),))).run()
    kept.rename(place.repository / "snapshots" / newest)
    place.assert_sound(snapshots=2)


def test_a_full_disk_gets_whole_packs_back_and_nothing_is_copied(place: Place) -> None:
    before = place.packs()
    with open_session(place.repository, small=True) as session:
        pruning = Pruning(session, order=everything(full_disk=True))
        plan = pruning.plan()
        assert (plan.move.packs, plan.shards) == (0, 0)
        report = pruning.run()
    assert report.deleted_packs == plan.drop.packs > 0
    assert place.packs() < before
    place.assert_sound(snapshots=2)

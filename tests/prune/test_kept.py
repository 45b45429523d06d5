"""What trees use is walked by shards of paths, and kept: the next prune walks only what has changed."""

import os
import time

import pytest

from holdfast.format.index import BlobType
from holdfast.ids import from_hex
from holdfast.prune import cut, kept
from holdfast.prune.documents import split_ids
from holdfast.prune.mark import mark_shard
from holdfast.prune.opening import open_prune
from holdfast.prune.used import walk
from holdfast.repository.index.marks import BlobMarks
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import list_snapshots
from tests.prune.conftest import Place
from tests.support.engine import nothing, open_session
from tests.support.pruning import Pruning


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """These repositories are cut as large ones are, at the six directories of the source."""
    monkeypatch.setattr(cut, "WORTH_BLOBS", 0)
    monkeypatch.setattr(cut, "ENOUGH_PATHS", 6)


def marked(session: RepositorySession, run_id: str) -> tuple[int, int, set[bytes]]:
    """Mark all shards: how many there are, the trees that were walked for them, and what is used."""
    run = Pruning(session, run_id).prune
    opened = open_prune(run, Pruning(session).order, time.time_ns())
    results = [mark_shard(run, shard, nothing) for shard in range(opened.shards)]
    used = {
        blob
        for part in kept.read_used(session.repository, results)
        for blob in (*split_ids(part.trees), *split_ids(part.data))
    }
    return opened.shards, sum(result.trees for result in results), used


def needed(session: RepositorySession) -> set[bytes]:
    """What a walk of all snapshots finds."""
    with session.hold() as held:
        marks = BlobMarks(held.index)
        roots = [from_hex(stored.snapshot.tree) for stored in list_snapshots(session.repository)]
        assert not walk(held.loader, marks, roots, lambda: None)
        return {blob for kind in BlobType for blob in marks.marked(kind)}


def test_shards_together_use_what_snapshots_need_and_nothing_is_walked_twice(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        shards, walked, used = marked(session, "one")
        assert used == needed(session)
        assert shards > 2
        assert walked == len(used & {tree for tree in used if is_tree(session, tree)})
        assert marked(session, "two") == (shards, 0, used)


def test_what_has_changed_is_walked(place: Place) -> None:
    walked: list[int] = []
    for number in range(2):
        (place.source / "dir-0" / "new").write_bytes(b"%d" % number)
        place.backup(f"more-{number}")
        with open_session(place.repository, small=True) as session:
            _, trees, used = marked(session, f"prune-{number}")
            walked.append(trees)
            assert used == needed(session)
    assert 0 < walked[1] < walked[0]


def is_tree(session: RepositorySession, blob: bytes) -> bool:
    with session.hold() as held:
        return held.index.row_of(blob, BlobType.TREE) is not None


def test_what_is_kept_only_in_part_is_walked_again(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        found = marked(session, "one")
        parts = [path for path in (place.repository / kept.USED).rglob("*") if path.name == "000000"]
        parts[0].unlink()
        shards, walked, used = marked(session, "two")
        assert (shards, used) == (found[0], found[2])
        assert 0 < walked < found[1]


def test_what_no_prune_has_used_for_a_week_goes(place: Place) -> None:
    folder = place.repository / kept.USED
    with open_session(place.repository, small=True) as session:
        Pruning(session, "one").run()
    before = set(folder.iterdir())
    (place.source / "dir-0" / "new").write_bytes(b"new")
    place.backup("more")
    for path in folder.rglob("*"):
        os.utime(path, (0, 0))
    with open_session(place.repository, small=True) as session:
        Pruning(session, "two").run()
    after = set(folder.iterdir())
    assert before - after
    assert before & after
    place.assert_sound(snapshots=3)

"""What snapshots take: alone, together, and by an independent count of their blobs."""

from collections import Counter
from pathlib import Path
from random import Random

from holdfast.format.index import BlobType
from holdfast.ids import BlobId, from_hex
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import StoredSnapshot, list_snapshots
from holdfast.retention.sizes import Usage, alone_and_together
from tests.support.engine import EngineRun, new_session


def blobs_of(held: HeldRepository, stored: StoredSnapshot) -> set[tuple[BlobType, bytes]]:
    found: set[tuple[BlobType, bytes]] = set()
    pending = [BlobId(from_hex(stored.snapshot.tree))]
    while pending:
        tree = pending.pop()
        found.add((BlobType.TREE, tree))
        for node in held.loader.load_tree(tree):
            found |= {(BlobType.DATA, bytes.fromhex(text)) for text in node.content or ()}
            pending += [] if node.subtree_id is None else [node.subtree_id]
    return found


def length(held: HeldRepository, blob: tuple[BlobType, bytes]) -> int:
    location = held.index.lookup(BlobId(blob[1]), blob[0])
    assert location is not None
    return location.entry.length


def test_bytes_alone_and_together_are_those_of_the_blobs(tmp_path: Path) -> None:
    source, random = tmp_path / "source", Random(16)
    for folder in ("a", "b", "b/deep", "c"):
        (source / folder).mkdir(parents=True)
        for number in range(4):
            (source / folder / f"{number}").write_bytes(random.randbytes(3000))
    with new_session(tmp_path / "repository") as session:
        for run in range(5):
            (source / "b" / "deep" / f"{run % 3}").write_bytes(random.randbytes(5000 + run))
            (source / f"new-{run}").write_bytes(random.randbytes(800))
            EngineRun.of(session, source, run_id=f"{run}").run()
        EngineRun.of(session, source, run_id="unchanged", strategy="full").run()
        with session.hold() as held:
            snapshots = list_snapshots(session.repository)
            blobs = {stored.id: blobs_of(held, stored) for stored in snapshots}
            users = Counter(blob for those in blobs.values() for blob in those)
            expected = {
                stored.id: sum(length(held, blob) for blob in blobs[stored.id] if users[blob] == 1)
                for stored in snapshots
            }
            assert alone_and_together(held, snapshots, ()) == (expected, 0)
            assert (
                min(expected.values()) < 1000
            )  # what is unchanged shares all, but for directories above the source
            assert len(set(expected.values())) > 3

            going, staying = snapshots[:3], snapshots[3:]
            kept = set().union(*(blobs[stored.id] for stored in staying))
            gone = set().union(*(blobs[stored.id] for stored in going)) - kept
            together = sum(length(held, blob) for blob in gone)
            assert alone_and_together(held, staying, going) == (expected, together)

            usage = Usage(held)
            together = sum(usage.add(stored) for stored in snapshots)
            assert together == sum(length(held, blob) for blob in users)


def test_no_tree_is_read_more_than_twice(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "file").write_bytes(b"x" * 100)
    with new_session(tmp_path / "repository") as session:
        for run in range(6):
            EngineRun.of(session, source, run_id=f"{run}", strategy="full").run()
        looks = 0

        def look() -> None:
            nonlocal looks
            looks += 1

        with session.hold() as held:
            snapshots = list_snapshots(session.repository)
            alone_and_together(held, snapshots[3:], snapshots[:3], look)
            trees = len({tree for stored in snapshots for kind, tree in blobs_of(held, stored) if kind})
        assert looks <= 2 * trees + len(snapshots)

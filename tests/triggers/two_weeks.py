"""A tree as people change it over two weeks, and what each strategy reads, stores and needs for a restore on it.

`python -m tests.triggers.two_weeks FOLDER` measures, and prints the table of docs/strategies.md.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from holdfast.format.index import BlobType
from holdfast.ids import BlobId, SnapshotId
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import load_snapshot
from tests.support.engine import EngineRun, new_session

DAYS: Final = 14
KIB: Final = 1 << 10
MIB: Final = 1 << 20
PLANS: Final = {
    "full each night": ("full",) * 7,
    "full on Sundays, else differential": ("full", *("differential",) * 6),
    "full on Sundays, else incremental": ("full", *("incremental",) * 6),
    "auto each night": ("auto",) * 7,
}


class Tree:
    """Documents, mail and a database file; `live` lets a day pass. The same seed gives the same two weeks."""

    def __init__(self, folder: Path, *, files: int = 400, database_bytes: int = 4 * MIB) -> None:
        self._folder = folder
        self._random = Random(11)
        self._number = 0
        for _ in range(files):
            self._write_new()
        self._database = folder / "database"
        self._database.write_bytes(self._random.randbytes(database_bytes))

    def live(self) -> None:
        """One day: some documents change, are written, renamed and deleted; the database is written into."""
        present = sorted(path for path in self._folder.rglob("document-*") if path.is_file())
        for path in self._random.sample(present, len(present) // 20):
            with path.open("ab") as file:
                file.write(self._random.randbytes(self._random.randrange(1, 4 * KIB)))
        for path in self._random.sample(present, max(1, len(present) // 100)):
            path.unlink()
        for _ in range(max(2, len(present) // 50)):
            self._write_new()
        left = sorted(path for path in self._folder.rglob("document-*") if path.is_file())
        moved = self._random.choice(left)
        moved.rename(moved.with_name(f"{moved.name}-renamed"))
        with self._database.open("r+b") as file:
            for _ in range(3):
                file.seek(self._random.randrange(self._database.stat().st_size))
                file.write(self._random.randbytes(16 * KIB))

    def _write_new(self) -> None:
        directory = self._folder / f"directory-{self._number % 20}"
        directory.mkdir(exist_ok=True)
        size = round(self._random.paretovariate(1.2) * 8 * KIB)
        text = self._random.randbytes(min(size, 2 * MIB))
        (directory / f"document-{self._number}").write_bytes(text)
        self._number += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One plan's two weeks. packs, restore_bytes: what restoring the last snapshot reads, with its trees."""

    plan: str
    first_read: int
    first_stored: int
    read: int
    stored: int
    seconds: float
    packs: int
    restore_bytes: int


def measure(folder: Path, plan: str, strategies: Sequence[str]) -> Measured:
    """Live through two weeks with a plan, from a Sunday on."""
    source = folder / "source"
    source.mkdir(parents=True)
    tree = Tree(source, files=2_000, database_bytes=64 * MIB)
    reads: list[int] = []
    stored: list[int] = []
    last: SnapshotId | None = None
    seconds = 0.0
    with new_session(folder / "repository") as session:
        for day in range(DAYS):
            if day:
                tree.live()
            before_bytes, before_s = _stored_bytes(folder / "repository"), time.perf_counter()
            run = EngineRun.of(session, source, run_id=f"day-{day}", strategy=strategies[day % 7])
            run.open()
            pages = run.select()
            results = [run.store(shard) for shard in range(sum(page.shards for page in pages))]
            committed = run.commit(pages).result
            if committed is None:
                raise AssertionError("the commit asks for work to be done again")
            seconds += time.perf_counter() - before_s
            reads.append(sum(result.totals.bytes_read for result in results))
            stored.append(_stored_bytes(folder / "repository") - before_bytes)
            last = SnapshotId(committed.snapshot)
        if last is None:
            raise AssertionError("no day passed")
        packs, restore_bytes = _needed(session, last)
    return Measured(
        plan=plan,
        first_read=reads[0],
        first_stored=stored[0],
        read=sum(reads[1:]),
        stored=sum(stored[1:]),
        seconds=seconds,
        packs=packs,
        restore_bytes=restore_bytes,
    )


def _stored_bytes(repository: Path) -> int:
    kinds = ("data", "index", "snapshots")
    return sum(
        path.stat().st_size for kind in kinds for path in (repository / kind).rglob("*") if path.is_file()
    )


def _needed(session: RepositorySession, snapshot: SnapshotId) -> tuple[int, int]:
    """The packs that a restore of the snapshot opens, and the bytes of the blobs that it wants."""
    stored = load_snapshot(session.repository, snapshot)
    packs: set[bytes] = set()
    total = 0
    with session.hold() as held:
        held.refresh()
        for blob, kind in _blobs(held.loader.load_tree, BlobId(bytes.fromhex(stored.snapshot.tree))):
            location = held.index.lookup(blob, kind)
            if location is None:
                raise AssertionError("a blob of the snapshot is in no index")
            packs.add(location.pack)
            total += location.entry.length
    return len(packs), total


def _blobs(load_tree: object, root: BlobId) -> Iterator[tuple[BlobId, BlobType]]:
    seen: set[bytes] = set()
    waiting = [root]
    while waiting:
        tree = waiting.pop()
        if tree in seen:
            continue
        seen.add(tree)
        yield tree, BlobType.TREE
        for node in load_tree(tree):  # type: ignore[operator]  # a bound method of the loader
            if node.subtree_id is not None:
                waiting.append(node.subtree_id)
            for blob in node.content_ids:
                if blob not in seen:
                    seen.add(blob)
                    yield blob, BlobType.DATA


def main(argv: Sequence[str]) -> None:
    """Measure every plan in a folder of its own, and print the table."""
    lines = [
        "| plan | first run reads | stores | 13 later ones read | store | seconds for all | a restore opens | reads |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for plan, strategies in PLANS.items():
        with tempfile.TemporaryDirectory(dir=argv[0] if argv else None) as folder:
            found = measure(Path(folder), plan, strategies)
        cells = (
            plan,
            _mib(found.first_read),
            _mib(found.first_stored),
            _mib(found.read),
            _mib(found.stored),
            f"{found.seconds:.1f}",
            f"{found.packs} packs",
            _mib(found.restore_bytes),
        )
        lines.append(f"| {' | '.join(cells)} |")
    sys.stdout.write("\n".join(lines) + "\n")


def _mib(count: int) -> str:
    return f"{count / MIB:.1f} MiB"


if __name__ == "__main__":
    main(sys.argv[1:])

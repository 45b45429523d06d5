"""`python -m benchmarks.prunes`: a prune of a repository with many snapshots and blobs, beside restic's, by turns.

The repository is made here: directories of small files, of which some change from snapshot to snapshot; every second
snapshot is forgotten. Each program gets a copy of its own, for each turn a new one. Holdfast's side is the engine in
processes of its own, one for each core as the service has them, without server and Temporal; restic uses all cores.
What a walk has found is taken away between a plan and the prune that follows, so that each has all of the work; the one
with nothing to do finds what the one before it has kept. Prints medians: wall seconds, processor seconds; and of one
more turn MiB at the most, of all processes together.
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.util import Finalize
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.measure import Measured, run_command
from holdfast.crypto.kdf import ScryptParameters
from holdfast.format.index import BlobType
from holdfast.format.node import Node
from holdfast.format.snapshot import Snapshot, encode_snapshot
from holdfast.format.times import format_time
from holdfast.format.tree import encode_tree
from holdfast.ids import BlobId, sha256, to_hex
from holdfast.prune.delete import delete_batch
from holdfast.prune.documents import PruneRun
from holdfast.prune.kept import USED, tidy
from holdfast.prune.mark import mark_shard
from holdfast.prune.opening import open_prune
from holdfast.prune.plan import plan_prune
from holdfast.prune.repack import repack_shard
from holdfast.prune.switch import switch
from holdfast.repository.index.shared import SharedIndex
from holdfast.repository.layout import SNAPSHOTS
from holdfast.repository.packs.packer import Packer
from holdfast.repository.repository import Repository
from holdfast.repository.session import HeldRepository, RepositorySession
from holdfast.runs.opening import close_run
from holdfast.storage.locations import open_storage
from tests.support.engine import PASSWORD
from tests.support.pruning import everything, has_work

_FILES: Final = 100
"""In each directory."""
_PER_PARENT: Final = 100
"""Directories in each directory above."""
_CHANGED: Final = 10
_FILES_CHANGED: Final = 3
_NS_PER_HOUR: Final = 3600 * 10**9
_PACKS_PER_INDEX_FILE: Final = 20
_ITSELF: Final = (sys.executable, "-m", "benchmarks.prunes")
_MAKE: Final = "make"
_PLAN, _WHOLE, _AGAIN = _JOBS = ("plan", "whole", "again")
"""A plan alone (restic: --dry-run), a whole prune, and one more with nothing to do."""


class _Source:
    """Files that change; what they come to is stored as a backup would store it."""

    def __init__(self, data: Packer, trees: Packer, directories: int) -> None:
        self._random = Random(1)
        self._data = data
        self._trees = trees
        self._known: set[bytes] = set()
        self.blobs = 0
        self._files = [[self._file() for _ in range(_FILES)] for _ in range(directories)]
        self._directories = [self._directory(number) for number in range(directories)]

    def change(self) -> None:
        for number in self._random.sample(range(len(self._files)), min(_CHANGED, len(self._files))):
            for _ in range(_FILES_CHANGED):
                self._files[number][self._random.randrange(_FILES)] = self._file()
            self._directories[number] = self._directory(number)

    def root(self) -> BlobId:
        parents = []
        for at in range(0, len(self._directories), _PER_PARENT):
            inside = self._directories[at : at + _PER_PARENT]
            parents.append(
                self._tree([_directory(f"d{number:03d}", tree) for number, tree in enumerate(inside)])
            )
        return self._tree([_directory(f"p{number:04d}", tree) for number, tree in enumerate(parents)])

    def _file(self) -> tuple[BlobId, int]:
        self.blobs += 1
        content = b"%d " % self.blobs * 40
        blob = BlobId(sha256(content))
        self._data.add(blob, content)
        return blob, len(content)

    def _directory(self, number: int) -> BlobId:
        return self._tree(
            [
                Node(quoted_name=f"f{at:03d}", kind="file", mode=0o644, size=size, content=(to_hex(blob),))
                for at, (blob, size) in enumerate(self._files[number])
            ]
        )

    def _tree(self, nodes: Sequence[Node]) -> BlobId:
        tree = encode_tree(nodes)
        blob = BlobId(sha256(tree))
        if blob not in self._known:
            self._known.add(blob)
            self._trees.add(blob, tree)
        return blob


def _directory(name: str, tree: BlobId) -> Node:
    return Node(quoted_name=name, kind="dir", mode=0o755, subtree=to_hex(tree))


def _make(repository: Path, directories: int, snapshots: int) -> int:
    """Make the repository; how many data blobs it has."""
    made = Repository.init(open_storage(str(repository)), PASSWORD, kdf=ScryptParameters.for_tests())
    session = RepositorySession(made, pack_size_bytes=4 << 20)
    try:
        with (
            session.hold() as held,
            _packer(held, BlobType.DATA) as data,
            _packer(held, BlobType.TREE) as trees,
        ):
            source = _Source(data, trees, directories)
            now_ns = time.time_ns()
            for number in range(snapshots):
                source.change()
                root = to_hex(source.root())
                if number % 2:  # every second one is forgotten
                    when = format_time(now_ns - (snapshots - number) * _NS_PER_HOUR)
                    snapshot = Snapshot(time=when, tree=root, paths=["/source"], hostname="host")
                    made.save_file(SNAPSHOTS, encode_snapshot(snapshot))
            data.flush()
            trees.flush()
            packs = data.take_stored() + trees.take_stored()
            for at in range(0, len(packs), _PACKS_PER_INDEX_FILE):
                held.write_index(packs[at : at + _PACKS_PER_INDEX_FILE])
        return source.blobs
    finally:
        session.close()


def _packer(held: HeldRepository, kind: BlobType) -> Packer:
    return Packer(held.repository, kind, compression=held.compression, pack_size_bytes=held.pack_size_bytes)


def _prune(repository: Path, job: str) -> None:
    """One prune; its shards in processes that are forked before there is a thread."""
    made = Repository.open(open_storage(str(repository)), PASSWORD)
    cores = os.cpu_count() or 1
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(cores, mp_context=fork, initializer=_join, initargs=(made, job)) as pool:
        list(pool.map(abs, range(cores)))  # now all are there
        _join(made, job)
        (run,) = _joined
        opened = open_prune(run, everything(max_unused="5%"), time.time_ns())
        list(pool.map(_mark, range(opened.shards)))
        plan = plan_prune(run, _nothing)
        if job != _PLAN and has_work(plan):
            list(pool.map(_repack, range(plan.shards)))
            switched = switch(run, _nothing)
            for batch in range(switched.batches):
                delete_batch(run, batch, _nothing)
        tidy(run)
        close_run(run.workspace)


_INDEX: Final = SharedIndex(SharedIndex.create_file())
_joined: list[PruneRun] = []


def _join(repository: Repository, job: str) -> None:
    session = RepositorySession(repository, shared_index=_INDEX)
    Finalize(None, session.close, exitpriority=0)  # a process of a pool ends without `finally`
    _joined.append(PruneRun(session=session, run_id=job))


def _mark(shard: int) -> None:
    mark_shard(_joined[0], shard, _nothing)


def _repack(shard: int) -> None:
    repack_shard(_joined[0], shard, _nothing)


def _nothing(*_: object) -> None:
    """Nobody watches."""


def _measured(command: Sequence[str], work: Path, *, watch: bool) -> Measured:
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD.decode()}
    return run_command(command, environment=environment, cwd=Path.cwd(), log=work / "log", watch=watch)


def _commands(repository: Path, job: str) -> Iterator[tuple[str, list[str]]]:
    restic = ["restic", "--no-cache", "-q", "-r", f"{repository}-restic", "prune"]
    yield "restic", [*restic, "--dry-run"] if job == _PLAN else restic
    yield "holdfast", [*_ITSELF, "--do", job, f"{repository}-holdfast"]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="benchmarks.prunes", description=__doc__)
    parser.add_argument("--directories", type=int, default=10_000, help="of 100 files each (10000)")
    parser.add_argument("--snapshots", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, default=None)
    parser.add_argument("--do", nargs=2, metavar=("JOB", "REPOSITORY"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.do is not None:
        job, repository = arguments.do[0], Path(arguments.do[1])
        if job == _MAKE:
            sys.stdout.write(
                f"{_make(repository, arguments.directories, arguments.snapshots)} blobs of data\n"
            )
        else:
            _prune(repository, job)
        return
    with tempfile.TemporaryDirectory(dir=arguments.work) as work:
        repository = Path(work) / "repository"
        # Elsewhere: a process counts what its parent measured when it was forked.
        sizes = ["--directories", str(arguments.directories), "--snapshots", str(arguments.snapshots)]
        subprocess.run([*_ITSELF, *sizes, "--do", _MAKE, str(repository)], check=True)
        found: dict[tuple[str, str], list[Measured]] = {}
        for turn in range(arguments.runs + 1):
            for program in ("restic", "holdfast"):
                shutil.rmtree(f"{repository}-{program}", ignore_errors=True)
                shutil.copytree(repository, f"{repository}-{program}")
            for job in _JOBS:
                if job != _AGAIN:
                    shutil.rmtree(f"{repository}-holdfast/{USED}", ignore_errors=True)
                for program, command in _commands(repository, job):
                    measured = _measured(command, Path(work), watch=turn == arguments.runs)
                    found.setdefault((job, program), []).append(measured)
        for (job, program), runs in found.items():
            wall_s = statistics.median(run.wall_s for run in runs[:-1])
            cpu_s = statistics.median(run.cpu_s for run in runs[:-1])
            memory = runs[-1].peak_bytes / 2**20
            sys.stdout.write(f"{job:6} {program:9} {wall_s:7.2f} s {cpu_s:7.2f} s {memory:6.0f} MiB\n")


if __name__ == "__main__":
    main()

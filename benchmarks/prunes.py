"""`python -m benchmarks.prunes`: a prune of a repository with many snapshots and blobs, beside restic's, by turns.

The repository is made here: directories of small files, of which some change from snapshot to snapshot; every second
snapshot is forgotten. Each program gets a copy of its own. Holdfast's side is the engine in one process, without server
and workers; restic uses all cores. Prints medians: wall seconds, processor seconds, and MiB at the most.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final

from holdfast.crypto.kdf import ScryptParameters
from holdfast.format.index import BlobType
from holdfast.format.node import Node
from holdfast.format.snapshot import Snapshot, encode_snapshot
from holdfast.format.times import format_time
from holdfast.format.tree import encode_tree
from holdfast.ids import BlobId, sha256, to_hex
from holdfast.repository.layout import SNAPSHOTS
from holdfast.repository.packs.packer import Packer
from holdfast.repository.repository import Repository
from holdfast.repository.session import HeldRepository, RepositorySession
from holdfast.storage.locations import open_storage
from tests.support.engine import PASSWORD, open_session
from tests.support.pruning import Pruning, everything

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
_JOBS: Final = ("plan", "whole", "again")
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
    with open_session(repository) as session:
        pruning = Pruning(session, run_id=job, order=everything(max_unused="5%"))
        if job == "plan":
            pruning.plan()
        else:
            pruning.run()


def _measured(command: Sequence[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds, MiB at the most; of a process that must succeed."""
    began = time.monotonic()
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD.decode()}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with {process.returncode}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _commands(repository: Path, job: str) -> Iterator[tuple[str, list[str]]]:
    restic = ["restic", "--no-cache", "-q", "-r", f"{repository}-restic", "prune"]
    yield "restic", [*restic, "--dry-run"] if job == "plan" else restic
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
        found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        for _ in range(arguments.runs):
            for program in ("restic", "holdfast"):
                shutil.rmtree(f"{repository}-{program}", ignore_errors=True)
                shutil.copytree(repository, f"{repository}-{program}")
            for job in _JOBS:
                for program, command in _commands(repository, job):
                    found.setdefault((job, program), []).append(_measured(command))
        for (job, program), runs in found.items():
            wall, processor, memory = (statistics.median(column) for column in zip(*runs, strict=True))
            sys.stdout.write(f"{job:6} {program:9} {wall:7.2f} s {processor:7.2f} s {memory:6.0f} MiB\n")


if __name__ == "__main__":
    main()

"""`python -m benchmarks.far`: the jobs of the table on an S3 server, near and at a distance. `--help` has the options.

The server is SeaweedFS on this host; what adds the distance (distance.py) is the same for every contender. Contenders
take turns, each has a place of its own in the bucket, which is emptied before each first backup, and its cache. What is
restored is compared with the tree. With --write the table goes into docs/performance.md.
"""

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import obstore

from benchmarks import data, report
from benchmarks.contenders import CommandContender, Contender, Restic, Rustic, Verb, installed
from benchmarks.data import DataSets
from benchmarks.holdfast_ways import PROJECT, Service
from benchmarks.jobs import Job
from benchmarks.measure import Measured, RunFailedError
from benchmarks.results import JobResults, host
from benchmarks.runner import check_restored
from tests.support.seaweed import BUCKET, Seaweed, running_seaweed

_BEGIN: Final = "<!-- far: begin (written by `make far`) -->"
_END: Final = "<!-- far: end -->"
_DOCUMENT: Final = PROJECT / "docs" / "performance.md"
_LOOK_AGAIN_S: Final = 0.1
"""A service removes its lock by itself, some seconds after the run: between two looks whether it has."""
_SETTLE_LIMIT_S: Final = 20.0
_OURS: Final = "holdfast-service"
_ROWS: Final = (
    ("backup, big", Verb.BACKUP, data.BIG, False, (0.55, 0.60)),
    ("backup, small", Verb.BACKUP, data.SMALL, False, (0.60, 0.50)),
    ("nothing changed, small", Verb.BACKUP, data.SMALL, True, (0.40, 0.40)),
    ("restore, small", Verb.RESTORE, data.SMALL, True, (0.70, 0.50)),
    ("restore, big", Verb.RESTORE, data.BIG, True, (0.60, 0.50)),
    ("verify all data, big", Verb.VERIFY, data.BIG, True, (0.50, 0.40)),
)
"""Title, verb, tree, whether it begins with a backup of that; and the targets without latency and with 30 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Where contenders put things. port: of the server, or of the distance before it."""

    server: Seaweed
    port: int

    def location(self, contender: str) -> str:
        """As restic spells it."""
        return f"s3:http://127.0.0.1:{self.port}/{BUCKET}/{contender}"

    def names(self, contender: str, folder: str = "") -> list[str]:
        """What is there, asked for without the distance."""
        store = self.server.store()
        pages = obstore.list(store, prefix=f"{contender}/{folder}")
        return [file["path"] for page in pages for file in page]

    def empty(self, contender: str) -> None:
        """Remove all of it."""
        names = self.names(contender)
        if names:
            obstore.delete(self.server.store(), names)


class FarRestic(Restic):
    """restic, with its cache."""

    bucket: Bucket

    def variables(self) -> Mapping[str, str]:
        """See the base class."""
        return {
            **self.bucket.server.environ,
            "RESTIC_REPOSITORY": self.bucket.location(self.name),
            "RESTIC_PASSWORD_FILE": str(self.password_file),
            "RESTIC_CACHE_DIR": str(self.folder / "cache"),
        }


class FarRustic(Rustic):
    """rustic, through OpenDAL."""

    bucket: Bucket

    def variables(self) -> Mapping[str, str]:
        """See the base class."""
        environ = self.bucket.server.environ
        return {
            **super().variables(),
            "RUSTIC_REPOSITORY": "opendal:s3",
            "RUSTIC_CACHE_DIR": str(self.folder / "cache"),
            "OPENDAL_BUCKET": BUCKET,
            "OPENDAL_ROOT": f"/{self.name}",
            "OPENDAL_REGION": "us-east-1",
            "OPENDAL_ENDPOINT": f"http://127.0.0.1:{self.bucket.port}",
            "OPENDAL_ACCESS_KEY_ID": environ["AWS_ACCESS_KEY_ID"],
            "OPENDAL_SECRET_ACCESS_KEY": environ["AWS_SECRET_ACCESS_KEY"],
        }


class FarService(Service):
    """`holdfast up`, with its cache."""

    bucket: Bucket

    def place(self) -> None:
        """Write the settings, once the bucket is known."""
        text = self.settings_file.read_text()
        near = str(self.homes.repository)
        self.settings_file.write_text(text.replace(near, self.bucket.location(self.name)))

    def variables(self) -> Mapping[str, str]:
        """See the base class."""
        return {**super().variables(), **self.bucket.server.environ, "HOME": str(self.folder)}

    def settle(self) -> None:
        """See the base class."""
        until = time.monotonic() + _SETTLE_LIMIT_S
        while self.bucket.names(self.name, "locks/"):
            if time.monotonic() > until:
                raise RunFailedError(f"{self.name}: a lock stays after the run")
            time.sleep(_LOOK_AGAIN_S)


def contenders_at(bucket: Bucket, folder: Path) -> list[Contender]:
    """Those that are installed; restic is the measure."""
    found: list[Contender] = []
    for kind in (FarRestic, FarRustic, FarService):
        if kind is not FarService and not installed(kind):
            continue
        contender: CommandContender = kind(folder)
        contender.bucket = bucket  # type: ignore[attr-defined]  # each of these has one
        if isinstance(contender, FarService):
            contender.place()
        found.append(contender)
    return found


@dataclass(slots=True, kw_only=True)
class FarBench:
    """All jobs at one distance."""

    bucket: Bucket
    folder: Path
    trees: DataSets
    contenders: Sequence[Contender]
    rounds: int
    _targets: int = 0
    _holds: str = ""

    def warm_up(self) -> None:
        """Have services load what they need."""
        tree = self.trees.tree(data.TINY)
        for contender in self.contenders:
            self._begin(contender)
            for _ in range(2):
                contender.run(Verb.BACKUP, tree, watch=False)
            contender.settle()

    def run(self, row: tuple[str, Verb, str, bool, tuple[float, float]]) -> JobResults:
        """One job, all rounds."""
        title, verb, name, filled, _ = row
        tree = self.trees.tree(name)
        timed: dict[str, list[Measured]] = {contender.name: [] for contender in self.contenders}
        for number in range(self.rounds):
            turn = number % len(self.contenders)
            for contender in (*self.contenders[turn:], *self.contenders[:turn]):
                measured = self._one(contender, verb, tree, name, filled=filled)
                timed[contender.name].append(measured)
                print(f"  {title}: {contender.name} {measured.wall_s:.2f} s", flush=True)
            if filled:
                self._holds = name
        return JobResults(
            job=title,
            scale=self.trees.scale,
            date=time.strftime("%Y-%m-%d", time.gmtime()),
            host=host(),
            programs={contender.name: contender.version() for contender in self.contenders},
            timed=timed,
            watched={},
        )

    def _one(self, contender: Contender, verb: Verb, tree: Path, name: str, *, filled: bool) -> Measured:
        contender.settle()
        if not filled or self._holds != name:
            self._begin(contender)
            if filled:
                contender.run(Verb.BACKUP, tree, watch=False)
                contender.settle()
        if verb is not Verb.RESTORE:
            return contender.run(verb, tree, watch=False)
        self._targets += 1
        target = self.folder / "targets" / str(self._targets)
        target.mkdir(parents=True)
        measured = contender.run(verb, target, watch=False)
        check_restored(contender, tree, target)
        shutil.rmtree(target)
        return measured

    def _begin(self, contender: Contender) -> None:
        """An empty repository, and none of the earlier one's cache."""
        self._holds = ""
        self.bucket.empty(contender.name)
        for cache in (contender.folder / "cache", contender.folder / ".cache"):
            shutil.rmtree(cache, ignore_errors=True)
        contender.init()


@contextlib.contextmanager
def _distance(server: Seaweed, delay_s: float) -> Iterator[int]:
    """The port to speak to."""
    if not delay_s:
        yield server.port
        return
    command = [sys.executable, "-m", "benchmarks.distance", str(server.port), str(delay_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as process:
        try:
            yield int(process.stdout.readline() if process.stdout is not None else "")
        finally:
            process.terminate()


def table(found: Mapping[float, Sequence[JobResults]]) -> str:
    """Markdown: a row for each job at each distance."""
    names = [name for name in found[min(found)][0].timed if name != "restic"]
    header = ["job", "round trip", "restic, s", *names]
    rows = (
        report.wall_row(
            Job(
                name=row[0],
                title=f"{row[0]} | {delay_s * 1000:.0f} ms",
                verb=row[1],
                tree=row[2],
                targets={_OURS: row[4][delay_s > 0]},
            ),
            results,
            ["restic", *names],
        )
        for delay_s, jobs in found.items()
        for results in jobs
        for row in _ROWS
        if row[0] == results.job
    )
    everything = {f"{delay_s} {one.job}": one for delay_s, jobs in found.items() for one in jobs}
    scale = next(iter(everything.values())).scale
    parts = [report.origin(everything), f"Trees at {scale:g} of their size in the table above. {report.WALL}"]
    return "\n\n".join([*parts, report.table(header, rows)])


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="benchmarks.far", description="On an S3 server, near and far.")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="timed runs of each (5)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the trees; 1 is what is published")
    parser.add_argument("--delays", default="0,0.03", metavar="S", help="round trips, in seconds (0,0.03)")
    parser.add_argument("--jobs", default="", metavar="WORD", help="only jobs that have this in their title")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    arguments = parser.parse_args()
    work = PROJECT / "bench-work"
    work.mkdir(exist_ok=True)
    trees = DataSets(folder=work / f"trees-{arguments.scale}", scale=arguments.scale)
    found: dict[float, list[JobResults]] = {}
    with running_seaweed() as server, tempfile.TemporaryDirectory(prefix="far-", dir=work) as name:
        for delay_s in map(float, arguments.delays.split(",")):
            folder = Path(name) / f"{delay_s}"
            with _distance(server, delay_s) as port:
                bucket = Bucket(server=server, port=port)
                contenders = contenders_at(bucket, folder)
                bench = FarBench(
                    bucket=bucket, folder=folder, trees=trees, contenders=contenders, rounds=arguments.runs
                )
                try:
                    bench.warm_up()
                    wanted = [row for row in _ROWS if arguments.jobs in row[0]]
                    found[delay_s] = [bench.run(row) for row in wanted]
                finally:
                    for contender in contenders:
                        contender.close()
                        bucket.empty(contender.name)
            print(table(found), flush=True)
    if arguments.write:
        report.write_into(_DOCUMENT, table(found), begin=_BEGIN, end=_END)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs the jobs: contenders in turn, each several times, every result checked.

1. Trees and, for jobs that need one, a filled repository for each contender are made.
2. A warm-up, then the timed runs: in each round every contender once, the order turned by one from round to round.
   Before each run what it will read is read once, and what is not on disk yet is written.
3. One more round, with an eye on the memory. A backup of it is restored and compared with its tree; restores are
   compared in every round.

Nothing with many files is deleted before the end: ext4 creates files slowly for a while after a mass delete.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks.contenders import Contender, Verb
from benchmarks.data import DataSets
from benchmarks.jobs import Job
from benchmarks.measure import Measured, RunFailedError
from benchmarks.places import warm
from benchmarks.results import JobResults, host
from demo.compare import Comparison

_SHOWN_DIFFERENCES = 5


@dataclass(slots=True, kw_only=True)
class Bench:
    """Carries out jobs below a folder. say: tells people what goes on."""

    folder: Path
    data: DataSets
    contenders: Sequence[Contender]
    rounds: int
    say: Callable[[str], None]
    _empty: dict[str, Path] = field(default_factory=dict)
    _filled: dict[tuple[str, str], Path] = field(default_factory=dict)
    _targets: int = 0

    def run(self, job: Job) -> JobResults:
        """One job, all rounds."""
        able = [contender for contender in self.contenders if job.verb in contender.timed]
        tree = self._prepare(job, able)
        timed: dict[str, list[Measured]] = {contender.name: [] for contender in able}
        if job.timed:
            self._round(job, tree, able, "warm-up", watch=False)
            for number in range(self.rounds):
                turn = number % len(able)
                order = able[turn:] + able[:turn]
                for name, measured in self._round(job, tree, order, f"run {number + 1}", watch=False).items():
                    timed[name].append(measured)
        watched = self._round(job, tree, able, "watched", watch=True)
        return JobResults(
            job=job.name,
            scale=self.data.scale,
            date=time.strftime("%Y-%m-%d", time.gmtime()),
            host=host(),
            programs={contender.name: contender.version() for contender in able},
            timed=timed if job.timed else {},
            watched=watched,
        )

    def clean(self) -> None:
        """End what runs, and delete everything."""
        for contender in self.contenders:
            contender.close()
        shutil.rmtree(self.folder)

    def _prepare(self, job: Job, contenders: Sequence[Contender]) -> Path:
        self.say(f"{job.name}: building the tree")
        tree = self.data.tree(job.tree)
        for contender in contenders:
            if contender.name not in self._empty:
                self._empty[contender.name] = home = contender.homes.new()
                contender.homes.use(home)
                contender.init()
            if job.filled:
                self._fill(contender, job.tree, tree)
        if job.changes:
            self.data.change()
        return tree

    def _fill(self, contender: Contender, name: str, tree: Path) -> None:
        if (contender.name, name) in self._filled:
            return
        self.say(f"  {contender.name}: a first backup of {name}")
        contender.settle()
        home = contender.homes.copy(self._empty[contender.name])
        contender.homes.use(home)
        contender.run(Verb.BACKUP, tree, watch=False)
        self._filled[contender.name, name] = home

    def _round(
        self, job: Job, tree: Path, contenders: Sequence[Contender], title: str, *, watch: bool
    ) -> dict[str, Measured]:
        measured: dict[str, Measured] = {}
        for contender in contenders:
            one = measured[contender.name] = self._one(job, tree, contender, watch=watch)
            self.say(f"  {title}: {contender.name} {one.wall_s:.2f} s, {one.cpu_s:.2f} s of processor time")
        return measured

    def _one(self, job: Job, tree: Path, contender: Contender, *, watch: bool) -> Measured:
        contender.settle()
        backup = job.verb is Verb.BACKUP
        template = self._filled[contender.name, job.tree] if job.filled else self._empty[contender.name]
        home = contender.homes.copy(template) if backup else template
        contender.homes.use(home)
        path = self._target() if job.verb is Verb.RESTORE else tree
        if job.timed:
            warm(tree if backup else contender.homes.repository)
        os.sync()
        measured = contender.run(job.verb, path, watch=watch)
        if job.verb is Verb.RESTORE:
            check_restored(contender, tree, path)
            _discard(path, many_files=job.many_files)
        elif backup:
            contender.settle()
            measured = msgspec.structs.replace(measured, stored_bytes=contender.stored_bytes())
            if watch and job.timed:
                self._check_backup(contender, tree)
            _discard(home, many_files=False)
        return measured

    def _check_backup(self, contender: Contender, tree: Path) -> None:
        target = self._target()
        contender.run(Verb.RESTORE, target, watch=False)
        check_restored(contender, tree, target)
        _discard(target, many_files=True)

    def _target(self) -> Path:
        self._targets += 1
        target = self.folder / "targets" / str(self._targets)
        target.mkdir(parents=True)
        return target


def _discard(path: Path, *, many_files: bool) -> None:
    """Make room, unless what follows would suffer from it; the end of all jobs removes the rest."""
    if not many_files:
        shutil.rmtree(path)


def check_restored(contender: Contender, tree: Path, target: Path) -> None:
    """Compare what was restored with the tree.

    Raises:
        RunFailedError: they differ.
    """
    inside = target / tree.relative_to("/")  # most bring the whole path back; some only what was named
    comparison = Comparison()
    comparison.compare(tree, inside if inside.exists() else target)
    if comparison.differences:
        shown = "; ".join(comparison.differences[:_SHOWN_DIFFERENCES])
        raise RunFailedError(f"{contender.name}: {len(comparison.differences)} differences: {shown}")

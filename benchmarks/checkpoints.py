"""`python -m benchmarks.checkpoints`: what checkpoints and heartbeats cost, as backups with them and without, in turn.

Without checkpoints means, for the engine: none is written in the course of a shard, packs are never sent off early for
one, and no mark says how far a shard is being read. What is left is what any backup must do: packs, index, results.
Without heartbeats means, for a service: its activities send none. The ratios go to benchmarks/results/checkpoints/ and
to the terminal.
"""

import argparse
import contextlib
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks import data
from benchmarks.contenders import Contender, Verb
from benchmarks.data import DataSets
from benchmarks.engine_run import WITHOUT_CHECKPOINTS
from benchmarks.holdfast_ways import PROJECT, Library, Service
from benchmarks.measure import Measured
from benchmarks.places import warm

_WORK: Final = PROJECT / "bench-work"
_RESULT: Final = PROJECT / "benchmarks" / "results" / "checkpoints" / "ratios.json"


class _WithoutCheckpoints(Library):
    """The same without checkpoints."""

    name = "holdfast-library-without-checkpoints"

    def command(self, verb: Verb, path: Path) -> list[str]:
        """See the base class."""
        return [*super().command(verb, path), WITHOUT_CHECKPOINTS]


class _WithoutHeartbeats(Service):
    """The same without heartbeats."""

    name = "holdfast-service-without-heartbeats"
    program = (str(Path(__file__).with_name("silent_worker.py")),)


_PAIRS: Final[Mapping[str, tuple[type[Contender], type[Contender]]]] = {
    "checkpoints": (Library, _WithoutCheckpoints),
    "heartbeats": (Service, _WithoutHeartbeats),
}


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.checkpoints", description="What checkpoints and heartbeats cost."
    )
    parser.add_argument("--runs", type=int, default=9, metavar="N", help="timed runs of each (9)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the trees; 1 is what is published")
    parser.add_argument("--work", type=Path, default=_WORK, metavar="DIR", help="where to work")
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    trees = DataSets(folder=work / f"trees-{arguments.scale}", scale=arguments.scale)
    found: dict[str, dict[str, Mapping[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="checkpoints-", dir=work) as folder:
        for subject, (with_it, without_it) in _PAIRS.items():
            for name in (data.BIG, data.SMALL):
                place = Path(folder) / f"{subject}-{name}"
                with (
                    contextlib.closing(with_it(place)) as one,
                    contextlib.closing(without_it(place)) as other,
                ):
                    compared = _compared(one, other, trees.tree(name), arguments.runs)
                found.setdefault(subject, {})[name] = compared
                print(subject, name, json.dumps(compared), flush=True)
    if arguments.scale == 1:
        _RESULT.parent.mkdir(parents=True, exist_ok=True)
        _RESULT.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _compared(with_it: Contender, without_it: Contender, tree: Path, rounds: int) -> Mapping[str, float]:
    """Medians of the rounds' ratios, of the first to the second; and of the first's seconds."""
    ways = (with_it, without_it)
    homes = {}
    for way in ways:
        homes[way.name] = way.homes.new()
        way.homes.use(homes[way.name])
        way.init()
    measured: dict[str, list[Measured]] = {way.name: [] for way in ways}
    for number in range(rounds + 1):
        for way in ways if number % 2 else ways[::-1]:
            old = way.homes.link.resolve()
            way.homes.use(way.homes.copy(homes[way.name]))
            if old != homes[way.name]:
                shutil.rmtree(old)
            warm(tree)
            one = way.run(Verb.BACKUP, tree, watch=False)
            way.settle()
            if number:  # the first round warms up
                measured[way.name].append(one)
    pairs = list(zip(*measured.values(), strict=True))
    return {
        "runs": rounds,
        "wall_s": round(statistics.median(one.wall_s for one, _ in pairs), 3),
        "wall_ratio": round(statistics.median(one.wall_s / other.wall_s for one, other in pairs), 4),
        "cpu_ratio": round(statistics.median(one.cpu_s / other.cpu_s for one, other in pairs), 4),
    }


if __name__ == "__main__":
    sys.exit(main())

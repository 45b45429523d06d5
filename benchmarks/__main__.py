"""`python -m benchmarks`: measure, and write docs/performance.md. `--help` has the options."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.contenders import PEERS, Contender, installed
from benchmarks.data import DataSets
from benchmarks.holdfast_ways import PROJECT, WAYS
from benchmarks.jobs import chosen
from benchmarks.measure import RunFailedError
from benchmarks.plot import plot
from benchmarks.results import load, save
from benchmarks.runner import Bench

_WORK: Final = PROJECT / "bench-work"
_RESULTS: Final = PROJECT / "benchmarks" / "results"
_DOCUMENT: Final = PROJECT / "docs" / "performance.md"


def main() -> int:
    """See the module; 1 where a result was wrong."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Holdfast beside its peers.")
    parser.add_argument("--jobs", default="", metavar="NAMES", help="only these, with commas; all if empty")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="timed runs of each (5)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the trees; 1 is what is published")
    parser.add_argument("--only", default="", metavar="NAMES", help="only these contenders, and restic")
    parser.add_argument("--work", type=Path, default=_WORK, metavar="DIR", help="where to work")
    arguments = parser.parse_args()
    try:
        jobs = chosen(arguments.jobs)
    except ValueError as error:
        parser.error(str(error))
    work = arguments.work.absolute()
    runs = Path(tempfile.mkdtemp(prefix="run-", dir=_made(work)))
    results = _RESULTS if arguments.scale == 1 else work / f"results-{arguments.scale}"
    bench = Bench(
        folder=runs,
        data=DataSets(folder=work / f"trees-{arguments.scale}", scale=arguments.scale),
        contenders=_contenders(runs, arguments.only),
        rounds=arguments.runs,
        say=_say,
    )
    wrong: list[str] = []
    try:
        for job in jobs:
            found = bench.run(job)
            save(found, results)
            wrong += report.oversized(found)
    except RunFailedError as error:
        wrong.append(str(error))
    finally:
        bench.clean()
    _publish(results, published=arguments.scale == 1)
    for problem in wrong:
        _say(f"WRONG: {problem}")
    return 1 if wrong else 0


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _contenders(folder: Path, only: str) -> list[Contender]:
    names = set(only.replace(",", " ").split())
    found: list[Contender] = []
    for kind in (*PEERS, *WAYS):
        if names and kind.name not in names | {"restic"}:
            continue
        if kind in PEERS and not installed(kind):
            _say(f"{kind.name} is not installed; it is left out")
            continue
        found.append(kind(folder))
    return found


def _publish(results: Path, *, published: bool) -> None:
    """Into the documentation at scale 1, else only to the terminal."""
    found = load(results)
    if not found:
        return
    text = report.tables(found)
    _say(text)
    if published:
        report.write_into(_DOCUMENT, text)
        (_DOCUMENT.parent / report.PLOT).write_text(plot(found))


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())

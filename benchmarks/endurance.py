"""`python -m benchmarks.endurance`: what a service holds on to after many runs. `--help` has the options.

One `holdfast up` is asked for backups of a handful of files, of which one changes each time, in a row. Every so often
its processes are looked at: proportional set sizes, descriptors and threads, by what they are. A service that forgets
nothing shows here as a line that climbs. With --write the table goes into docs/scale.md.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.contenders import Verb
from benchmarks.holdfast_ways import PROJECT, Service
from benchmarks.measure import is_worker, proportional_bytes, tree
from benchmarks.report import write_into

_WORK: Final = PROJECT / "bench-work"
_DOCUMENT: Final = PROJECT / "docs" / "scale.md"
_BEGIN: Final = "<!-- endurance: begin (written by `python -m benchmarks.endurance --write`) -->"
_END: Final = "<!-- endurance: end -->"
_FILES: Final = 10
_MIB: Final = 1 << 20
_SUPERVISOR, _WORKERS, _SERVER = "supervisor", "workers", "server"
_KINDS: Final = (_SUPERVISOR, _WORKERS, _SERVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What processes of one kind hold together."""

    pss_bytes: int = 0
    descriptors: int = 0
    threads: int = 0

    def __add__(self, other: "Look") -> "Look":
        """Both."""
        return Look(
            pss_bytes=self.pss_bytes + other.pss_bytes,
            descriptors=self.descriptors + other.descriptors,
            threads=self.threads + other.threads,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The service after so many runs. cpu_s: of one run, on average since the moment before, by all processes."""

    runs: int
    cpu_s: float
    looks: dict[str, Look]


def look(pid: int) -> dict[str, Look]:
    """The processes of a service, by kind."""
    found = dict.fromkeys(_KINDS, Look())
    for process in tree(pid):
        kind = _SUPERVISOR if process.pid == pid else _WORKERS if is_worker(process) else _SERVER
        try:
            found[kind] += Look(
                pss_bytes=proportional_bytes(process.pid),
                descriptors=process.num_fds(),
                threads=process.num_threads(),
            )
        except psutil.NoSuchProcess:
            continue
    return found


def endure(folder: Path, runs: int, every: int) -> Iterator[Moment]:
    """Back up so many times; a moment after the first run, and after each `every` of them."""
    source = folder / "source"
    source.mkdir()
    for number in range(_FILES):
        (source / f"{number}.txt").write_text(f"file {number}\n" * 100)
    service = Service(folder)
    service.init()
    try:
        spent_s, since = 0.0, 0
        for number in range(1, runs + 1):
            (source / "changing.txt").write_text(f"run {number}\n")
            spent_s += service.run(Verb.BACKUP, source, watch=False).cpu_s
            since += 1
            if number == 1 or not number % every:
                yield Moment(runs=number, cpu_s=spent_s / since, looks=look(service.pid))
                spent_s, since = 0.0, 0
    finally:
        service.close()


def table(moments: Sequence[Moment], shown: int) -> str:
    """Markdown: at most about so many of the moments, the first and the last among them."""
    step = max(1, (len(moments) - 1) // (shown - 1))
    rows = [*moments[:-1:step], moments[-1]]
    lines = [
        f"| runs | {' | '.join(f'{kind}, MiB' for kind in _KINDS)} | descriptors | threads | s of processor a run |",
        "| --- " * (len(_KINDS) + 4) + "|",
    ]
    lines += [_row(moment) for moment in rows]
    return "\n".join(lines)


def _row(moment: Moment) -> str:
    total = sum(moment.looks.values(), Look())
    sizes = " | ".join(f"{moment.looks[kind].pss_bytes / _MIB:.1f}" for kind in _KINDS)
    return f"| {moment.runs} | {sizes} | {total.descriptors} | {total.threads} | {moment.cpu_s:.2f} |"


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--every", type=int, default=50, help="look at the processes after so many runs")
    parser.add_argument("--write", action="store_true", help="write the table into docs/scale.md")
    given = parser.parse_args()
    _WORK.mkdir(exist_ok=True)
    moments: list[Moment] = []
    with tempfile.TemporaryDirectory(dir=_WORK) as folder:
        begun = time.monotonic()
        for moment in endure(Path(folder), given.runs, given.every):
            moments.append(moment)
            print(f"{_row(moment)} {time.monotonic() - begun:.0f} s", flush=True)
    if given.write:
        write_into(_DOCUMENT, table(moments, shown=11), begin=_BEGIN, end=_END)
    return 0


if __name__ == "__main__":
    sys.exit(main())

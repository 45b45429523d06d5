"""Raw results: one JSON file for each job, so that one row can be measured again. No path of a machine is in it."""

import os
import platform
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import psutil

from benchmarks.measure import Measured
from holdfast.cores import usable_cores

MEASURE: Final = "restic"
"""Whose time is 1."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What it ran on."""

    cores: int
    processor: str
    memory_bytes: int
    system: str
    python: str


class JobResults(msgspec.Struct, frozen=True, kw_only=True):
    """All runs of one job, by contender; the runs of one round have one position."""

    job: str
    scale: float
    date: str
    host: Host
    programs: dict[str, str]
    timed: dict[str, list[Measured]]
    watched: dict[str, Measured]


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """The middle of some numbers, and the outermost."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: list[float]) -> "Spread":
        """Of at least one."""
        return cls(median=median(numbers), low=min(numbers), high=max(numbers))


def ratios(results: JobResults, contender: str, attribute: str) -> Spread | None:
    """A contender's numbers divided by restic's of the same round."""
    ours, theirs = results.timed.get(contender), results.timed.get(MEASURE)
    if not ours or not theirs:
        return None
    pairs = zip(ours, theirs, strict=True)
    return Spread.of([getattr(one, attribute) / getattr(other, attribute) for one, other in pairs])


def seconds(results: JobResults, contender: str) -> Spread | None:
    """A contender's wall times."""
    runs = results.timed.get(contender)
    return Spread.of([run.wall_s for run in runs]) if runs else None


def stored_bytes(results: JobResults, contender: str) -> float:
    """What a backup left behind, in the middle of all runs."""
    return median([run.stored_bytes for run in results.timed[contender]])


def save(results: JobResults, folder: Path) -> None:
    """Write a job's file, in place of an older one."""
    folder.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(results), indent=1)
    (folder / f"{results.job}.json").write_bytes(text + b"\n")


def load(folder: Path) -> dict[str, JobResults]:
    """All jobs that have results."""
    found = [msgspec.json.decode(path.read_bytes(), type=JobResults) for path in folder.glob("*.json")]
    return {results.job: results for results in found}


def host() -> Host:
    """This machine, without its name."""
    return Host(
        cores=usable_cores(),
        processor=_processor(),
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {os.uname().release.split('-')[0]}",
        python=platform.python_version(),
    )


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()

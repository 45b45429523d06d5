"""The tables of docs/performance.md, between two markers; the prose around them stays."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmarks.contenders import Verb
from benchmarks.jobs import JOBS, Job
from benchmarks.results import MEASURE, JobResults, Spread, ratios, seconds, stored_bytes

BEGIN: Final = "<!-- benchmark: begin (written by `make bench`) -->"
END: Final = "<!-- benchmark: end -->"
PLOT: Final = "performance.svg"
SIZE_TOLERANCE: Final = 0.02
OURS: Final = "holdfast-"
_COLUMNS: Final = (
    "restic",
    "restic-flushed",
    "borg",
    "rustic",
    "kopia",
    "holdfast-library",
    "holdfast-service",
    "holdfast-one-shot",
)
_MIB: Final = 1 << 20
WALL: Final = (
    "Wall time as a share of restic's in the same round: the median, the smallest and the largest. "
    "In brackets the target; † marks a median that misses it."
)
_MEMORY: Final = (
    "Peak memory in MiB (proportional set size of all processes together; for the service and the command, "
    "of the worker processes / of everything, server included):"
)


def tables(results: Mapping[str, JobResults]) -> str:
    """All tables."""
    jobs = [job for job in JOBS if job.name in results]
    timed = [job for job in jobs if results[job.name].timed]
    columns = [name for name in _COLUMNS if any(name in results[job.name].watched for job in jobs)]
    parts = [
        origin(results),
        WALL,
        table(
            ["job", "restic, s", *columns[1:]], (wall_row(job, results[job.name], columns) for job in timed)
        ),
        f"![Wall time as a share of restic's]({PLOT})",
        "Median wall seconds, and processor time of all processes as a share of restic's:",
        table(["job", *columns], (_cpu_row(job, results[job.name], columns) for job in timed)),
        _MEMORY,
        table(["job", *columns], (_memory_row(job, results[job.name], columns) for job in jobs)),
        *_wide(results, columns),
        "Size stored in MiB, and what Temporal keeps of a run: events of its history, growth of its database:",
        table(
            ["job", *columns, "events", "database, KiB"],
            (_stored_row(job, results[job.name], columns) for job in timed if job.verb is Verb.BACKUP),
        ),
    ]
    return "\n\n".join(parts)


def oversized(results: JobResults) -> list[str]:
    """Our ways whose backups take more than restic's and the tolerance, in words."""
    if not any(run.stored_bytes for run in results.timed.get(MEASURE, ())):
        return []
    allowed = stored_bytes(results, MEASURE) * (1 + SIZE_TOLERANCE)
    return [
        f"{results.job}: {name} stores {stored_bytes(results, name) / stored_bytes(results, MEASURE):.3f} of restic's"
        for name in results.timed
        if name.startswith(OURS) and stored_bytes(results, name) > allowed
    ]


def write_into(document: Path, text: str, *, begin: str = BEGIN, end: str = END) -> None:
    """Replace what stands between the markers; a document without them gets both at its end."""
    old = document.read_text() if document.exists() else "# Performance\n"
    before, found, rest = old.partition(begin)
    after = rest.partition(end)[2] if found else "\n"
    separator = "" if found else "\n"
    document.write_text(f"{before}{separator}{begin}\n\n{text}\n\n{end}{after}")


def origin(results: Mapping[str, JobResults]) -> str:
    """Where and when it was measured, and with which programs."""
    newest = max(results.values(), key=lambda one: one.date)
    programs = dict(
        sorted((name, version) for one in results.values() for name, version in one.programs.items())
    )
    versions = ", ".join(dict.fromkeys(programs.values()))
    runs = min((len(runs) for one in results.values() for runs in one.timed.values()), default=0)
    host = newest.host
    return (
        f"Measured {newest.date} on {host.cores} cores of {host.processor}, {host.memory_bytes >> 30} GiB of memory, "
        f"{host.system}, Python {host.python}: {versions}. At least {runs} runs of each after a warm-up."
    )


def wall_row(job: Job, results: JobResults, columns: list[str]) -> Iterator[str]:
    """A row of wall times: restic's in seconds, the others' as shares of that."""
    yield job.title
    theirs = seconds(results, MEASURE)
    yield f"{theirs.median:.2f} ({theirs.low:.2f}-{theirs.high:.2f})" if theirs else ""
    for name in columns[1:]:
        ratio = ratios(results, name, "wall_s")
        yield _ratio(ratio, job.targets.get(name)) if ratio else ""


def _ratio(ratio: Spread, target: float | None) -> str:
    text = f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
    if target is None:
        return text
    return f"{text} [{target:.2f}]{' †' if ratio.median > target else ''}"


def _cpu_row(job: Job, results: JobResults, columns: list[str]) -> Iterator[str]:
    yield job.title
    for name in columns:
        wall, cpu = seconds(results, name), ratios(results, name, "cpu_s")
        yield f"{wall.median:.2f}, {cpu.median:.2f}" if wall and cpu else ""


def _memory_row(job: Job, results: JobResults, columns: list[str]) -> Iterator[str]:
    yield job.title
    for name in columns:
        run = results.watched.get(name)
        if run is None:
            yield ""
        elif run.workers_peak_bytes and run.workers_peak_bytes != run.peak_bytes:
            yield f"{run.workers_peak_bytes / _MIB:.0f} / {run.peak_bytes / _MIB:.0f}"
        else:
            yield f"{run.peak_bytes / _MIB:.0f}"


def _wide(results: Mapping[str, JobResults], columns: list[str]) -> Iterator[str]:
    """How memory grows with the number of files."""
    wide, reference = results.get("wide"), results.get("wide-reference")
    if wide is None or reference is None:
        return
    files = round(990_000 * wide.scale)
    grown = []
    for name in columns:
        if name in wide.watched and name in reference.watched:
            more = _workers_bytes(wide, name) - _workers_bytes(reference, name)
            grown.append(f"{name} {more / files:.0f}")
    yield f"Growth of memory from 10,000 to 1,000,000 files, in bytes a file: {', '.join(grown)}."


def _workers_bytes(results: JobResults, name: str) -> int:
    run = results.watched[name]
    return run.workers_peak_bytes or run.peak_bytes


def _stored_row(job: Job, results: JobResults, columns: list[str]) -> Iterator[str]:
    yield job.title
    for name in columns:
        yield f"{stored_bytes(results, name) / _MIB:.1f}" if name in results.timed else ""
    service = results.watched.get("holdfast-service")
    yield str(service.history_events) if service else ""
    yield f"{service.database_bytes / 1024:.0f}" if service else ""


def table(header: list[str], rows: Iterable[Iterator[str]]) -> str:
    """Markdown."""
    lines = [header, ["---"] * len(header), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

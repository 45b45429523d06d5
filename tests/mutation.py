"""`make mutants`: small changes to the modules that guard data, one by one; a test has to notice each.

The engine's tests run once, unchanged: coverage notes which of them come through which line, pytest how long each
takes. Then each change is made in a copy of the tree, and the tests that come through its lines run, the shortest
first, until one fails that passes by itself without the change. A line that tests reach only in a process of its own,
or only by an import, is held by all tests of its module.

A survivor is a line that no test holds: it is either given a test, or explained in docs/testing.md.

    python -m tests.mutation [--seed N] [--count N] [--modules PATH,…] [--jobs N] [--work DIR] [--touched FILE]

Exit code 1 if a change survived.
"""

import argparse
import ast
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import Final

import msgspec
from coverage import CoverageData

PROJECT: Final = Path(__file__).parent.parent
GUARDS: Final = (
    "repository/exclusive",
    "repository/locking",
    "repository/packs/packer",
    "repository/session",
    "backup/commit/commit",
    "backup/store/checkpoints",
    "backup/plan/shards",
    "storage/durable",
    "storage/local",
    "runs/attempts",
    "runs/plan",
    "restore/finish/deletion",
    "restore/finish/finish",
    "restore/finish/large_files",
    "restore/shard/large_file",
    "restore/shard/segment",
    "restore/verify",
    "safe_fs/directories",
    "safe_fs/durable",
    "safe_fs/remove",
    "crypto/sealing",
    "format/pack",
    "verify/finish",
    "verify/mend",
    "verify/plan",
    "verify/shard",
)
"""The modules of the engine whose faults lose data."""

ENGINE_TESTS: Final = tuple(
    f"tests/{folder}"
    for folder in (
        *("unit", "runs", "storage", "format", "property", "restore", "verify", "locks", "work", "interop"),
        *("faults", "replay"),
    )
)
_LIMIT_S: Final = 1800.0
"""A change that was not noticed by then counts as not noticed. A test that hangs fails sooner, by its own limit."""
_TEST_LIMIT_S: Final = 120
_MEASURED_S: Final = 3600.0
_FAILED: Final = 1
_STOPPED: Final = -signal.SIGKILL
_DURATION: Final = re.compile(r"(?P<seconds>[\d.]+)s (?:setup|call|teardown) +(?P<test>tests/.*)")
_FAILURE: Final = re.compile(r"(?:FAILED|ERROR) (?P<test>tests/\S+?::\S.*?)(?: - .*)?")
_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_SIGNS: Final[dict[type[ast.operator], type[ast.operator]]] = {ast.Add: ast.Sub, ast.Sub: ast.Add}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change: the bytes from `start` to `end` of a file become `text`. lines: first and last of them."""

    file: Path
    lines: tuple[int, int]
    start: int
    end: int
    text: str
    was: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(PROJECT)}:{self.lines[0]}: {self.was!r} -> {self.text!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """The tests that come through lines (by file and number), and how long each test takes."""

    lines: Mapping[str, Mapping[int, Sequence[str]]]
    seconds: Mapping[str, float]

    def tests(self, mutant: Mutant) -> list[str]:
        """Those that can notice the change, the shortest first."""
        lines = self.lines.get(str(mutant.file.relative_to(PROJECT)), {})
        first, last = mutant.lines
        found = {test for line in range(first, last + 1) for test in lines.get(line, ())}
        found = found or {test for tests in lines.values() for test in tests}
        return sorted(found & self.seconds.keys(), key=lambda test: (self.seconds[test], test))


def mutants(file: Path) -> Iterator[Mutant]:
    """All changes of one module: comparisons, conditions, dropped calls, signs."""
    source = file.read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in ast.walk(ast.parse(source)):
        for old, new in _changes(node):
            assert old.end_lineno is not None
            assert old.end_col_offset is not None
            start = starts[old.lineno - 1] + old.col_offset
            end = starts[old.end_lineno - 1] + old.end_col_offset
            yield Mutant(
                file=file,
                lines=(old.lineno, old.end_lineno),
                start=start,
                end=end,
                text=new,
                was=source[start:end].decode(),
            )


def _changes(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARISONS:
        other = ast.Compare(node.left, [_COMPARISONS[type(node.ops[0])]()], node.comparators)
        yield node, f"({ast.unparse(other)})"
    elif isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        yield node, f"({ast.unparse(ast.BinOp(node.left, _SIGNS[type(node.op)](), node.right))})"
    elif isinstance(node, ast.BoolOp):
        word = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, f"({ast.unparse(ast.BoolOp(word, node.values))})"
    elif isinstance(node, ast.If | ast.While) and not isinstance(node.test, ast.Compare | ast.BoolOp):
        yield node.test, f"(not ({ast.unparse(node.test)}))"
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield node.value, "None"


def touched(work: Path) -> Touched:
    """Run the engine's tests once, unchanged. A test that fails is one that notices nothing."""
    settings = work / "coverage.ini"
    patterns = "\n    ".join(f"*/holdfast/{name}.py" for name in GUARDS)
    settings.write_text(f"[run]\ninclude =\n    {patterns}\ndisable_warnings = no-data-collected\n")
    data = work / "touched"  # beside it, coverage removes what is called touched.*
    command = ["-n", "2", "--dist", "worksteal", "--timeout", "600", "-vv", "--durations=0", "-rfE"]
    command += ["--cov", f"--cov-config={settings}", "--cov-context=test", "--cov-report=", *ENGINE_TESTS]
    folder = _copy(work / "measured")
    run = _pytest(folder, command, limit_s=_MEASURED_S, COVERAGE_FILE=str(data))
    seconds: dict[str, float] = {}
    failed: set[str] = set()
    for line in run.output.splitlines():
        if (taken := _DURATION.fullmatch(line.strip())) is not None:
            seconds[taken["test"]] = seconds.get(taken["test"], 0.0) + float(taken["seconds"])
        elif (wrong := _FAILURE.fullmatch(line)) is not None:
            failed.add(wrong["test"])
    if not seconds:
        raise SystemExit(run.output[-2000:])
    _tell(f"{len(seconds)} tests, {len(failed)} of which fail unchanged and are left out: {sorted(failed)}")
    found = CoverageData(str(data))
    found.read()
    lines = {
        str(Path(file).relative_to(folder)): {
            line: sorted({context.rpartition("|")[0] for context in contexts} - {""})
            for line, contexts in found.contexts_by_lineno(file).items()
        }
        for file in found.measured_files()
    }
    return Touched(
        lines=lines, seconds={test: taken for test, taken in seconds.items() if test not in failed}
    )


def notices(mutant: Mutant, folder: Path, tests: Sequence[str]) -> str:
    """The first test that notices a change; empty where none does. folder: a copy of the tree."""
    target = folder / mutant.file.relative_to(PROJECT)
    source = target.read_bytes()
    waiting = list(tests)
    while waiting:
        _write(target, source[: mutant.start] + mutant.text.encode() + source[mutant.end :])
        try:
            failed = _first_failure(folder, waiting)
        finally:
            _write(target, source)
        if not failed or not _first_failure(folder, [failed]):
            return failed
        waiting.remove(failed)  # by itself it fails in any case
    return ""


def _first_failure(folder: Path, tests: Sequence[str]) -> str:
    """The first of these tests that fails; empty where none does within the limit."""
    listed = folder / "mutation-tests"
    listed.write_text("\n".join(tests))
    limits = ["--timeout", str(_TEST_LIMIT_S)]
    run = _pytest(folder, ["-q", "-x", "-p", "no:xdist", *limits, f"@{listed}"], limit_s=_LIMIT_S)
    failures = map(_FAILURE.fullmatch, run.output.splitlines())
    named = next((failure["test"] for failure in failures if failure is not None), "")
    if named in tests:
        return named
    return tests[0] if run.code not in (0, _STOPPED) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    code: int
    output: str


def _pytest(folder: Path, arguments: Sequence[str], *, limit_s: float, **environ: str) -> _Ended:
    """Run tests in a copy of the tree, to their end or until the limit."""
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as scratch:
        command = [sys.executable, "-m", "pytest", "-m", "not faults and not heavy", "-p", "no:cacheprovider"]
        command += ["-o", "tmp_path_retention_policy=none"]
        process = subprocess.Popen(
            [*command, f"--basetemp={scratch}/t", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return _Ended(code=_STOPPED, output="")
    return _Ended(code=process.returncode, output=output)


def _write(target: Path, source: bytes) -> None:
    """Write a module, and have it compiled again: Python tells versions of a file apart by seconds and size."""
    target.write_bytes(source)
    Path(cache_from_source(str(target))).unlink(missing_ok=True)


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _copy(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    skipped = shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache", ".hypothesis", "*-work")
    shutil.copytree(PROJECT, folder, symlinks=True, ignore=skipped)
    return folder


def _known(work: Path, file: Path | None) -> Touched:
    """What tests touch; from a file, if an earlier run has left it there."""
    if file is not None and file.exists():
        return msgspec.json.decode(file.read_bytes(), type=Touched)
    found = touched(work)
    if file is not None:
        file.write_bytes(msgspec.json.encode(found))
    return found


def main() -> int:
    """Draw, change, run, tell."""
    parser = argparse.ArgumentParser(description="small changes, one by one, that a test has to notice")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--modules", default=",".join(GUARDS), metavar="PATH,…", help="below holdfast/")
    parser.add_argument("--jobs", type=int, default=2, help="changes that are tried at one time")
    parser.add_argument("--work", type=Path, default=PROJECT / "mutation-work")
    parser.add_argument("--touched", type=Path, help="keep here what tests touch, or take it from here")
    options = parser.parse_args()
    files = [PROJECT / "holdfast" / f"{name}.py" for name in options.modules.split(",")]
    every = [mutant for file in files for mutant in mutants(file)]
    drawn = random.Random(options.seed).sample(every, min(options.count, len(every)))
    options.work.mkdir(parents=True, exist_ok=True)
    known = _known(options.work, options.touched)
    folders: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for job in range(options.jobs):
        folders.put(_copy(options.work / f"tree-{job}"))

    def tried(mutant: Mutant) -> bool:
        tests, folder = known.tests(mutant), folders.get()
        try:
            noticed = notices(mutant, folder, tests)
        finally:
            folders.put(folder)
        _tell(f"{mutant}\n    {noticed or 'SURVIVED'} ({len(tests)} tests)")
        return bool(noticed)

    with ThreadPoolExecutor(options.jobs) as pool:
        noticed = sum(pool.map(tried, drawn))
    _tell(f"{noticed} of {len(drawn)} noticed (of {len(every)} possible, seed {options.seed})")
    shutil.rmtree(options.work, ignore_errors=True)
    return 0 if noticed == len(drawn) else _FAILED


if __name__ == "__main__":
    sys.exit(main())

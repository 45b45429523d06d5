"""`make mutants`: small changes to the modules that guard data, one by one; a test has to notice each.

A survivor is a line that no test holds: it is either given a test, or explained in docs/testing.md. A change is made in
a copy of the tree, and the tests of `FIRST` that lie nearest run first, then all that `make test` runs of the engine.

    python -m tests.mutation [--seed N] [--count N] [--modules NAME,…] [--near] [--work DIR]

Exit code 1 if a change survived.
"""

import argparse
import ast
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parent.parent
GUARDS: Final = {
    "locking": "tests/locks tests/unit",
    "packer": "tests/storage tests/property tests/work",
    "session": "tests/locks tests/storage tests/property",
    "commit": "tests/storage tests/locks tests/property tests/faults",
    "checkpoints": "tests/storage tests/faults",
    "shards": "tests/storage tests/verify tests/faults",
    "durable": "tests/storage tests/faults",
    "local": "tests/storage tests/faults",
    "deletion": "tests/restore tests/property",
    "finish": "tests/restore tests/verify tests/property",
    "large_file": "tests/restore tests/property",
    "segment": "tests/restore tests/property",
    "attempts": "tests/runs tests/storage tests/faults",
    "plan": "tests/runs tests/property",
    "directories": "tests/restore tests/unit",
    "remove": "tests/restore tests/property",
    "sealing": "tests/format tests/property tests/unit",
    "pack": "tests/format tests/property tests/verify",
    "verify": "tests/restore tests/verify tests/property",
    "mend": "tests/verify tests/storage",
}
"""The modules of the engine whose faults lose data, by their names, and the folders of tests that lie nearest."""

ENGINE_TESTS: Final = (
    "tests/unit tests/runs tests/storage tests/format tests/property tests/restore tests/verify tests/locks tests/work "
    "tests/interop tests/faults tests/replay"
)
_LIMIT_S: Final = 900.0
_FAILED: Final = 1
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
    """One change: the bytes from `start` to `end` of a file become `text`."""

    file: Path
    line: int
    start: int
    end: int
    text: str
    was: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(PROJECT)}:{self.line}: {self.was!r} -> {self.text!r}"


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
                file=file, line=old.lineno, start=start, end=end, text=new, was=source[start:end].decode()
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


def notices(mutant: Mutant, folder: Path, *, near: bool) -> str:
    """The first test that notices a change; empty where none does. folder: a copy of the tree. near: ask no others."""
    target = folder / mutant.file.relative_to(PROJECT)
    source = mutant.file.read_bytes()
    target.write_bytes(source[: mutant.start] + mutant.text.encode() + source[mutant.end :])
    try:
        return _run(folder, GUARDS[mutant.file.stem]) or ("" if near else _run(folder, ENGINE_TESTS))
    finally:
        target.write_bytes(source)


def _run(folder: Path, tests: str) -> str:
    """The first tests that fail, or a word for a hang or a crash."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as scratch:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-n",
            "2",
            "--dist",
            "worksteal",
            "--timeout",
            "120",
        ]
        command += ["-m", "not faults and not heavy", "-p", "no:cacheprovider", f"--basetemp={scratch}/t"]
        process = subprocess.Popen(
            [*command, *tests.split()],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return "it hung"
    if process.returncode == 0:
        return ""
    failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0][:160] if failed else output.strip().splitlines()[-1][:160]


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _copy(work: Path) -> Path:
    folder = work / "tree"
    shutil.rmtree(folder, ignore_errors=True)
    skipped = shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(PROJECT, folder, symlinks=True, ignore=skipped)
    return folder


def main() -> int:
    """Draw, change, run, tell."""
    parser = argparse.ArgumentParser(description="small changes, one by one, that a test has to notice")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--modules", default=",".join(GUARDS), metavar="NAME,…")
    parser.add_argument("--near", action="store_true", help="run the nearest tests only")
    parser.add_argument("--work", type=Path, default=PROJECT / "mutation-work")
    options = parser.parse_args()
    wanted = set(options.modules.split(","))
    files = sorted(file for file in (PROJECT / "holdfast").rglob("*.py") if file.stem in wanted)
    every = [mutant for file in files for mutant in mutants(file)]
    drawn = random.Random(options.seed).sample(every, min(options.count, len(every)))
    folder = _copy(options.work)
    survivors = 0
    for number, mutant in enumerate(drawn, 1):
        noticed = notices(mutant, folder, near=options.near)
        survivors += not noticed
        _tell(f"{number}/{len(drawn)} {mutant}\n    {noticed or 'SURVIVED'}")
    _tell(f"{len(drawn) - survivors} of {len(drawn)} noticed (of {len(every)} possible, seed {options.seed})")
    shutil.rmtree(options.work, ignore_errors=True)
    return _FAILED if survivors else 0


if __name__ == "__main__":
    sys.exit(main())

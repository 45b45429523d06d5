"""`python -m benchmarks.profile`: where the time of each job goes, by py-spy, as collapsed stacks and a flame graph.

The engine as a library is what is looked at, with all its processes: the service and the command run the same code.
For each job two files are written to benchmarks/results/: JOB.stacks.txt (one stack a line, with its samples; what
other tools read) and JOB.svg. Idle threads are left out; native code is named where py-spy can.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.contenders import Verb
from benchmarks.data import DataSets
from benchmarks.holdfast_ways import PROJECT, Library
from benchmarks.jobs import Job, chosen

_WORK: Final = PROJECT / "bench-work"
_RESULTS: Final = PROJECT / "benchmarks" / "results"
_RATE: Final = 200
_ABSOLUTE: Final = re.compile(r"(?<![\w./:<])/(?:[\w.+@-]+/)+")
_FORMATS: Final = {"raw": "stacks.txt", "flamegraph": "svg"}


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="benchmarks.profile", description="Profiles of the jobs.")
    parser.add_argument("--jobs", default="", metavar="NAMES", help="only these, with commas; all if empty")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the trees")
    parser.add_argument("--work", type=Path, default=_WORK, metavar="DIR", help="where to work")
    arguments = parser.parse_args()
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if program is None:
        parser.error("py-spy is not installed; `make dev` brings it")
    work = arguments.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    results = _RESULTS if arguments.scale == 1 else work / f"results-{arguments.scale}"
    results.mkdir(parents=True, exist_ok=True)
    data = DataSets(folder=work / f"trees-{arguments.scale}", scale=arguments.scale)
    with tempfile.TemporaryDirectory(prefix="profile-", dir=work) as folder:
        for job in chosen(arguments.jobs):
            _profile(program, job, data, Path(folder) / job.name, results)
    return 0


def _profile(program: str, job: Job, data: DataSets, folder: Path, results: Path) -> None:
    """One job, once for each format: py-spy writes one at a time."""
    contender = Library(folder)
    empty = contender.homes.new()
    contender.homes.use(empty)
    contender.init()
    tree = data.tree(job.tree)
    if job.filled:
        contender.run(Verb.BACKUP, tree, watch=False)
        contender.settle()
    if job.changes:
        data.change()
    template = contender.homes.link.resolve()
    for form, suffix in _FORMATS.items():
        contender.homes.use(contender.homes.copy(template))
        path = tree
        if job.verb is Verb.RESTORE:
            path = folder / f"target-{form}"
            path.mkdir()
        output = results / f"{job.name}.{suffix}"
        command = [program, "record", "--subprocesses", "--rate", str(_RATE), "--format", form]
        command += ["--output", str(output), "--", *contender.command(job.verb, path)]
        subprocess.run(
            command, env=contender.environment(), cwd=contender.folder, stdout=subprocess.DEVNULL, check=True
        )
        contender.settle()
        _forget_paths(output)
        print(f"{job.name}: {suffix}", flush=True)


def _forget_paths(output: Path) -> None:
    """A result says nothing about the machine: of an absolute path only its end is left."""
    text = output.read_text().replace(f"{PROJECT}/", "")
    output.write_text(_ABSOLUTE.sub("", text))


if __name__ == "__main__":
    sys.exit(main())

"""`python -m benchmarks.requests`: requests of whole jobs on an S3 server, by kind and by subject, beside restic's.

The server is a real one, SeaweedFS; what lies between it and the programs counts. Each job is done once, by programs as
people call them: restic with its cache, Holdfast's command, and a service that is up. With --write it goes into
docs/performance.md.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.holdfast_ways import PROJECT
from benchmarks.report import write_into
from tests.support.far_host import PASSWORD, PATIENCE_S, FarHost
from tests.support.proxy import Proxy, Request
from tests.support.seaweed import Seaweed, running_seaweed

_DOCUMENT: Final = PROJECT / "docs" / "performance.md"
_BEGIN: Final = "<!-- requests: begin (written by `make requests`) -->"
_END: Final = "<!-- requests: end -->"
_SETTLE_S: Final = 6.0
"""A service keeps its lock for five seconds after the last use; to remove it is counted for the job."""
_PROFILE: Final = "off"
_SUBJECTS: Final = ("config", "keys", "locks", "index", "snapshots", "data", "holdfast", "other")
_KINDS: Final = ("GET", "HEAD", "LIST", "PUT", "DELETE")
Counts = Counter[tuple[str, str]]


class Counting:
    """A plan of the proxy that does nothing but count, by kind and subject."""

    def __init__(self) -> None:
        self.counts: Counts = Counter()

    def __call__(self, request: Request) -> None:
        subject = request.folder if request.folder in _SUBJECTS else "other"
        self.counts[_kind(request), subject] += 1

    def take(self) -> Counts:
        """What was counted since this was asked for."""
        counted, self.counts = self.counts, Counter()
        return counted


def _kind(request: Request) -> str:
    query = request.target.partition("?")[2]
    if request.method == "GET" and ("list-type=" in query or "prefix=" in query or "location" in query):
        return "LIST"
    return "DELETE" if request.method == "POST" and "delete" in query else request.method


class _Restic:
    """restic, with a cache of its own."""

    def __init__(self, folder: Path, location: str, environ: Mapping[str, str]) -> None:
        self._environ = {
            **environ,
            "PATH": os.environ.get("PATH", os.defpath),
            "RESTIC_REPOSITORY": location,
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_CACHE_DIR": str(folder / "cache"),
        }

    def run(self, *arguments: str | Path) -> None:
        command = ["restic", "--quiet", *map(str, arguments)]
        subprocess.run(command, env=self._environ, check=True, capture_output=True, timeout=PATIENCE_S)


def jobs_of(host: FarHost, verify: Sequence[str]) -> dict[str, Sequence[str | Path]]:
    """The arguments of each job, in their order."""
    return {
        "first backup": ("backup", host.source),
        "nothing changed": ("backup", host.source),
        "restore": ("restore", "latest", "--target", host.folder / "target"),
        "verify all data": verify,
    }


def count(server: Seaweed) -> dict[str, dict[str, Counts]]:
    """The requests of each job, by program."""
    found: dict[str, dict[str, Counts]] = {}
    for program in ("restic", "command", "service"):
        counting = Counting()
        with _place(server, program, counting) as host:
            if program == "restic":
                runner: _Restic | FarHost = _Restic(host.folder, host.location, server.environ)
                verify = ("check", "--read-data")
            else:
                runner, verify = host, ("verify", "--read-data")
            runner.run("init")
            with _serving(host) if program == "service" else contextlib.nullcontext():
                for job, arguments in jobs_of(host, verify).items():
                    counting.take()
                    runner.run(*arguments)
                    time.sleep(_SETTLE_S)
                    found.setdefault(job, {})[program] = counting.take()
    return found


@contextlib.contextmanager
def _place(server: Seaweed, program: str, counting: Counting) -> Iterator[FarHost]:
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-requests-") as folder,
        Proxy(server.port, prefix=program) as proxy,
    ):
        proxy.plan = counting
        yield FarHost(Path(folder), proxy.location(program), server.environ)


@contextlib.contextmanager
def _serving(host: FarHost) -> Iterator[None]:
    settings, password = host.folder / "holdfast.toml", host.folder / "password"
    password.write_text(PASSWORD)
    settings.write_text(
        f'[repositories.{_PROFILE}]\nlocation = "{host.location}"\npassword_file = "{password}"\n'
    )
    for name in ("RESTIC_REPOSITORY", "RESTIC_PASSWORD"):
        host.environ.pop(name)
    host.environ.update(HOLDFAST_CONFIG=str(settings), HOLDFAST_REPO=_PROFILE)
    with host.start("up") as up:
        if not any("Web UI" in line for line in up.stdout or ()):
            raise RuntimeError("the service does not start")
        try:
            yield
        finally:
            up.terminate()
            up.communicate(timeout=PATIENCE_S)


def table(found: Mapping[str, Mapping[str, Counts]]) -> str:
    """Markdown: a row for each job and program."""
    lines = [f"| job | program | all | {' | '.join(_SUBJECTS)} |", "| --- " * (3 + len(_SUBJECTS)) + "|"]
    for job, programs in found.items():
        for program, counts in programs.items():
            cells = [_cell(counts, subject) for subject in _SUBJECTS]
            lines.append(f"| {job} | {program} | {counts.total()} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(counts: Counts, subject: str) -> str:
    kinds = ((kind, counts[kind, subject]) for kind in _KINDS)
    return ", ".join(f"{number} {kind}" for kind, number in kinds if number)


def main() -> int:
    """See the module."""
    with running_seaweed() as server:
        text = table(count(server))
    print(text)
    if "--write" in sys.argv:
        write_into(_DOCUMENT, text, begin=_BEGIN, end=_END)
    return 0


if __name__ == "__main__":
    sys.exit(main())

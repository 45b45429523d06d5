"""For all tests: a Temporal server, reports that hold, what a missing program means, and what was skipped for it."""

import os
import re
import sys
import traceback
from collections import Counter
from collections.abc import Generator, Iterator

import pytest

from tests.support.programs import SKIP_NOTHING, lacking
from tests.support.temporal_server import running_server

if sys.version_info < (3, 12):
    # Whoever prints a traceback parses its lines, to point at a part of them. asyncio prints those of garbage, when the
    # collector finds it: also while pytest parses a source, for a report or an import. Python 3.11 takes the one within
    # the other for a fault of its own, and its SystemError ended whole runs. So nothing is pointed at.
    traceback._extract_caret_anchors_from_line_segment = lambda _segment: None  # type: ignore[attr-defined]

_REASON = re.compile(r"(?P<program>\S+) is not installed \(Debian: (?P<cure>[^)]*)\)")


@pytest.fixture(scope="session")
def server_address() -> Iterator[str]:
    """One server for each process that runs tests: hosts, sources and runs have names of their own in each test.

    A test that leaves a run open without a worker ends it, or each `holdfast status` after it would wait for an answer.
    """
    with running_server() as address:
        yield address


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    yield from _skipping()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    yield from _skipping()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested for want of a program, and what brings it."""
    skipped: Counter[tuple[str, str]] = Counter()
    for report in terminalreporter.getreports("skipped"):
        found = _REASON.search(str(report.longrepr))
        if found is not None:
            skipped[found["program"], found["cure"]] += 1
    if skipped:
        terminalreporter.section("not tested, for want of a program")
        for (program, cure), count in sorted(skipped.items()):
            terminalreporter.write_line(f"{count} tests call {program}: {cure}")


def _skipping() -> Generator[None]:
    try:
        yield
    except FileNotFoundError as error:
        why = lacking(error)
        if why is None or os.environ.get(SKIP_NOTHING):
            raise
        pytest.skip(why)

"""For all tests: a Temporal server, reports that hold, what a missing program means, and what was skipped for it."""

import gc
import os
import re
from collections import Counter
from collections.abc import Generator, Iterator

import pytest

from tests.support.programs import SKIP_NOTHING, lacking
from tests.support.temporal_server import running_server

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


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Collect no garbage while a failure is put into words.

    pytest parses the source for that. Garbage that asyncio complains of, with a traceback, is parsed for as well, and
    Python 3.11 takes the one within the other for a fault of its own: its SystemError would end the whole run.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


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

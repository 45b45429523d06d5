"""A process that has certainly ended."""

import subprocess
import sys

import pytest

from holdfast.repository.identity import started_at


@pytest.fixture(scope="module")
def dead() -> tuple[int, int]:
    """Number and start of a process that has ended, and been waited for."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = started_at(process.pid)
    assert started is not None
    process.communicate(b"\n")
    return process.pid, started

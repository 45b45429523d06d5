"""An index of ten million blobs, read from its files as any backup reads it, takes at most 60 bytes for each."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BLOBS = 10_000_000
BYTES_PER_BLOB = 60


def _step(name: str, repository: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.work.index_scale_step", name, str(repository), str(BLOBS)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: dict[str, float] = json.loads(answer.stdout)
    return measured


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_ten_million_blobs(tmp_path: Path) -> None:
    _step("write", tmp_path / "repository")
    measured = _step("load", tmp_path / "repository")
    print({name: round(value, 2) for name, value in measured.items()})  # noqa: T201 -- `make heavy` shows it
    assert measured["bytes_per_blob"] <= BYTES_PER_BLOB

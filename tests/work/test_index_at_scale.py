"""An index of ten million blobs takes at most 60 bytes for each; taking packs out of one takes one file's memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
BLOBS = 10_000_000
BYTES_PER_BLOB = 60
FEW, MANY = 100_000, 800_000
ONE_FILE_BYTES = 24 << 20
"""About what one file of 50,000 blobs needs while it is read and written again; sixteen files at once took 130 MB."""


def _step(name: str, repository: Path, blobs: int = BLOBS) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.work.index_scale_step", name, str(repository), str(blobs)]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, cwd=PROJECT)
    assert answer.returncode == 0, answer.stderr
    measured: dict[str, float] = json.loads(answer.stdout)
    return measured


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_ten_million_blobs(tmp_path: Path) -> None:
    _step("write", tmp_path / "repository")
    measured = _step("load", tmp_path / "repository")
    print({name: round(value, 2) for name, value in measured.items()})  # noqa: T201 -- `make heavy` shows it
    assert measured["bytes_per_blob"] <= BYTES_PER_BLOB


def test_an_index_is_rewritten_file_by_file(tmp_path: Path) -> None:
    """The first file sets the peak; sixteen take no more than two."""
    peaks = []
    for blobs in (FEW, MANY):
        _step("write", tmp_path / str(blobs), blobs)
        peaks.append(_step("rewrite", tmp_path / str(blobs), blobs)["peak_bytes"])
    assert max(peaks) < ONE_FILE_BYTES

"""Huge trees: a million empty files, a sparse file of a TiB, ten thousand nested directories. Memory stays bounded.

Each step runs in a process of its own and reports its peak memory; the numbers of one run are in docs/scale.md.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.comparison import restic
from tests.support.engine import PASSWORD, new_session

MIB = 1 << 20
TIB = 1 << 40
PEAK_BYTES = 600 * MIB
"""What the backup of any tree may take; a million files are allowed 100 bytes each on top of that."""
FILES_PER_DIRECTORY = 1_000
DIRECTORIES = 1_000
LEVELS = 10_000

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(3600)]


def test_a_million_empty_files(tmp_path: Path) -> None:
    def plant(source: Path) -> None:
        for directory in range(DIRECTORIES):
            below = source / f"directory-{directory:04d}"
            below.mkdir()
            for file in range(FILES_PER_DIRECTORY):
                (below / f"file-{file:04d}").touch()

    expected = DIRECTORIES * FILES_PER_DIRECTORY
    assert _everything(tmp_path, plant) == expected


def test_a_sparse_file_of_a_tebibyte(tmp_path: Path) -> None:
    def plant(source: Path) -> None:
        with (source / "sparse").open("wb") as file:
            file.truncate(TIB)
            for offset in (0, TIB // 2 + 12_345, TIB - MIB):
                file.seek(offset)
                file.write(os.urandom(MIB))

    assert _everything(tmp_path, plant) == 1
    (back,) = (tmp_path / "target").rglob("sparse")
    assert back.stat().st_size == TIB
    assert back.stat().st_blocks * 512 < 64 * MIB


def test_ten_thousand_nested_directories(tmp_path: Path) -> None:
    def plant(source: Path) -> None:
        here = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
        for _ in range(LEVELS):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.close(here)

    assert _everything(tmp_path, plant) == 1
    subprocess.run(["rm", "-rf", str(tmp_path / "target")], check=True)


def _everything(folder: Path, plant: Callable[[Path], None]) -> int:
    """Plant, back up twice, check, verify, restore; the number of files that each step saw."""
    source, repository = folder / "source", folder / "repository"
    source.mkdir()
    try:
        plant(source)
        return _count_through_every_step(folder, source, repository)
    finally:
        # Python's own removal knows a limit of depth.
        subprocess.run(["rm", "-rf", str(source)], check=True)


def _count_through_every_step(folder: Path, source: Path, repository: Path) -> int:
    with new_session(repository):
        pass
    counted = set()
    for step, path in (
        ("backup", source),
        ("backup", source),
        ("verify", source),
        ("restore", folder / "target"),
    ):
        counted.add(_step(step, repository, path))
    assert "no errors were found" in restic(repository, PASSWORD, "check")
    (files,) = counted
    return files


def _step(step: str, repository: Path, path: Path) -> int:
    command = [sys.executable, "-m", "tests.interop.scale_step", step, str(repository), str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    report = json.loads(done.stdout)
    print(f"{step}: {report['seconds']:.1f} s, {report['peak_bytes'] / MIB:.0f} MiB")  # noqa: T201 -- for docs/scale.md
    files = int(report["files"])
    assert report["peak_bytes"] < PEAK_BYTES + 100 * files, step
    return files

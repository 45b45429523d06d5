"""Flushes beside the writing: when they begin by themselves, and that none which failed is forgotten."""

import os
from pathlib import Path

import pytest

from holdfast.errors import StorageUnavailableError
from holdfast.restore.shard.flusher import EARLY_BYTES, Flusher
from holdfast.safe_fs.durable import FileSystems


@pytest.fixture
def failing(tmp_path: Path) -> FileSystems:
    """File systems whose flush fails: the descriptor that they keep is closed behind their back."""
    directory = os.open(tmp_path, os.O_RDONLY)
    file_systems = FileSystems()
    lowest_free = os.dup(directory)
    os.close(lowest_free)
    file_systems.touch(directory, os.fstat(directory).st_dev)
    os.close(lowest_free)
    os.close(directory)
    return file_systems


def test_a_flush_begins_once_much_of_a_large_file_is_written(failing: FileSystems) -> None:
    flusher = Flusher(failing)
    flusher.written(EARLY_BYTES - 1)
    flusher.wait()
    flusher.written(1)
    with pytest.raises(StorageUnavailableError):
        flusher.wait()
    flusher.close()


def test_a_failed_flush_is_told_whatever_is_written_after_it(failing: FileSystems) -> None:
    flusher = Flusher(failing)
    for _ in range(3):
        flusher.written(EARLY_BYTES)
    with pytest.raises(StorageUnavailableError):
        flusher.wait()
    flusher.close()

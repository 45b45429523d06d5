"""The stream of blocks: every byte once, in order, whatever the consumer leaves over."""

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.backup.store.blocks import BLOCK_BYTES, CARRY_BYTES, BlockStream


async def announce_nothing(_: int) -> None:
    return None


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 12_345])
@pytest.mark.parametrize("leave", [0, 1, 700_000, CARRY_BYTES])
async def test_every_byte_arrives_once(tmp_path: Path, size: int, leave: int) -> None:
    content = random.Random(size).randbytes(size)
    path = tmp_path / "file"
    path.write_bytes(content)
    received: list[bytes] = []

    async def consume(data: memoryview, *, final: bool) -> int:
        used = len(data) if final else max(0, len(data) - leave)
        received.append(bytes(data[:used]))
        return used

    fd = os.open(path, os.O_RDONLY)
    with ThreadPoolExecutor(1) as pool:
        total = await BlockStream(pool).feed(fd, 0, None, consume, announce_nothing)
    os.close(fd)

    assert total == size
    assert b"".join(received) == content


async def test_a_stretch_is_read_exactly(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 100)
    received = bytearray()

    async def consume(data: memoryview, *, final: bool) -> int:
        received.extend(data)
        return len(data)

    fd = os.open(path, os.O_RDONLY)
    with ThreadPoolExecutor(1) as pool:
        total = await BlockStream(pool).feed(fd, 100, 400, consume, announce_nothing)
    os.close(fd)

    assert total == 300
    assert bytes(received) == (bytes(range(256)) * 2)[100:400]


async def test_what_is_about_to_be_read_is_announced_first(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(BLOCK_BYTES * 2))
    announced = consumed = 0

    async def announce(length: int) -> None:
        nonlocal announced
        announced += length

    async def consume(data: memoryview, *, final: bool) -> int:
        nonlocal consumed
        consumed += len(data)
        assert announced >= consumed
        return len(data)

    fd = os.open(path, os.O_RDONLY)
    with ThreadPoolExecutor(1) as pool:
        await BlockStream(pool).feed(fd, 0, None, consume, announce)
    os.close(fd)

    assert consumed == 2 * BLOCK_BYTES

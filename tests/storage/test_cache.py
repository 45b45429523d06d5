"""The cache in its folder: what it gives out is what it was given, whatever becomes of its files; and it is bounded."""

import multiprocessing
import os
import shutil
import signal
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from holdfast.storage.cache import Cache
from tests.support.disks import tmpfs

MIB = 1 << 20
PIECE = 64 * 1024
REPOSITORY = 64 * "a"
SIZES = (1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 17)


def entry(number: int, repository: str = REPOSITORY) -> str:
    return f"{repository}/data/{number:064x}"


def content(number: int, size: int) -> bytes:
    return Random(number).randbytes(size)


def kept(cache: Cache, number: int, size: int = 3 * PIECE + 17) -> bytes:
    data = content(number, size)
    assert cache.keep(entry(number), [memoryview(data[:10]), memoryview(data[10:])])
    return data


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "CACHEDIR.TAG"]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 64 * MIB)


@pytest.mark.parametrize("size", SIZES)
def test_what_was_kept_is_given_out(cache: Cache, size: int) -> None:
    data = kept(cache, 1, size)
    assert cache.read(entry(1)) == data
    for offset, length in ((0, 1), (size - 1, 1), (size // 2, size - size // 2), (size // 3, size // 3 or 1)):
        assert cache.read(entry(1), offset, length) == data[offset : offset + length]
    for offset, length in ((0, size + 1), (size, 1), (0, 0)):
        assert cache.read(entry(1), offset, length) is None
    assert cache.read(entry(1)) == data, "and asking for too much does it no harm"
    assert cache.read(entry(2)) is None


def test_an_entry_is_replaced_and_dropped(cache: Cache) -> None:
    kept(cache, 1)
    assert cache.keep(entry(1), [memoryview(b"other")])
    assert cache.read(entry(1)) == b"other"
    cache.drop(entry(1))
    cache.drop(entry(1))
    assert cache.read(entry(1)) is None


def flipped(at: int) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)

    return flip


DAMAGES: dict[str, Callable[[Path], object]] = {
    "first byte": flipped(0),
    "byte in the middle": flipped(PIECE + 5),
    "last byte of the content": flipped(3 * PIECE + 16),
    "first digest": flipped(3 * PIECE + 17),
    "last digest": flipped(-1),
    "cut by a byte": lambda path: os.truncate(path, path.stat().st_size - 1),
    "cut at a piece": lambda path: os.truncate(path, PIECE),
    "cut as if it had fewer pieces": lambda path: os.truncate(path, 2 * (PIECE + 16)),
    "emptied": lambda path: os.truncate(path, 0),
    "zeros behind it": lambda path: os.truncate(path, path.stat().st_size + PIECE),
    "all zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_dropped(cache: Cache, damage: str) -> None:
    data = kept(cache, 1)
    (path,) = files_below(cache.directory)
    DAMAGES[damage](path)
    assert cache.read(entry(1)) is None
    assert not path.exists()
    kept(cache, 1)
    assert cache.read(entry(1)) == data


def test_a_part_whose_pieces_are_sound_is_given_out(cache: Cache) -> None:
    """And the damaged one beside it is found when it is needed."""
    data = kept(cache, 1)
    (path,) = files_below(cache.directory)
    flipped(2 * PIECE)(path)
    assert cache.read(entry(1), 10, PIECE) == data[10 : 10 + PIECE]
    assert cache.read(entry(1), 10, 2 * PIECE) is None


def test_the_file_of_another_name_is_not_believed(cache: Cache) -> None:
    kept(cache, 1)
    kept(cache, 2)
    one, two = sorted(files_below(cache.directory))
    shutil.copy(one, two)
    assert cache.read(entry(2)) is None
    assert cache.read(entry(1)) is not None


def test_it_may_be_lost_while_it_is_read(cache: Cache) -> None:
    data = kept(cache, 1)
    stop = threading.Event()

    def lose() -> None:
        while not stop.is_set():
            shutil.rmtree(cache.directory, ignore_errors=True)

    loser = threading.Thread(target=lose)
    loser.start()
    try:
        answers = []
        for _ in range(300):
            cache.keep(entry(1), [memoryview(data)])
            answers.append(cache.read(entry(1)))
    finally:
        stop.set()
        loser.join()
    assert set(answers) <= {data, None}
    assert None in answers


def _share(directory: Path, seed: int, rounds: int) -> None:
    """Keep, read and drop the same few entries as others do."""
    cache, random = Cache(directory, 4 * MIB), Random(seed)
    for _ in range(rounds):
        number = random.randrange(8)
        data = content(number, PIECE + number)
        choice = random.random()
        if choice < 0.4:
            cache.keep(entry(number), [memoryview(data)])
        elif choice < 0.95:
            assert cache.read(entry(number)) in {data, None}
        else:
            cache.drop(entry(number))


def test_processes_share_it_and_one_may_be_killed(cache: Cache) -> None:
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=_share, args=(cache.directory, seed, 400)) for seed in range(3)]
    victim = context.Process(target=_share, args=(cache.directory, 9, 1_000_000))
    for process in (*others, victim):
        process.start()
    time.sleep(0.2)  # it is to be killed in the middle of adding
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    for process in (*others, victim):
        process.join(60)
    assert [process.exitcode for process in others] == [0, 0, 0]
    for number in range(8):
        assert cache.read(entry(number)) in {content(number, PIECE + number), None}


def test_it_is_bounded_and_what_was_used_last_stays(tmp_path: Path) -> None:
    caches = [Cache(tmp_path / "cache", 4 * MIB) for _ in range(2)]
    used = kept(caches[0], 0, 100_000)
    long_ago = time.time() - 1000
    for number in range(1, 200):
        kept(caches[number % 2], number, 100_000)
        path = next(path for path in files_below(tmp_path) if path.name == f"{number:064x}")
        os.utime(path, (long_ago + number, long_ago + number))
        assert sum(path.stat().st_size for path in files_below(tmp_path)) <= 4 * MIB
        assert caches[0].read(entry(0)) == used
    assert caches[0].read(entry(199)) is not None
    assert caches[0].read(entry(1)) is None
    assert len(files_below(tmp_path)) > 30


def test_what_takes_much_of_the_bound_is_not_kept(cache: Cache) -> None:
    assert not cache.keep(entry(1), [memoryview(bytes(9 * MIB))])
    assert not cache.keep(entry(1), [])
    assert files_below(cache.directory.parent) == []


def test_what_a_killed_writer_left_goes_and_what_others_put_there_stays(cache: Cache) -> None:
    kept(cache, 1)
    folder = cache.directory / REPOSITORY / "data"
    left, fresh, foreign = folder / ".new-0123", folder / ".new-4567", folder / "notes.txt"
    for path in (left, fresh, foreign):
        path.write_bytes(b"x")
    os.utime(left, (0, 0))
    os.utime(foreign, (0, 0))
    kept(Cache(cache.directory, 64 * MIB), 2)  # the first that a process adds has all of it looked at
    assert not left.exists()
    assert fresh.exists()
    assert foreign.exists()


def test_it_is_private_and_marked(cache: Cache) -> None:
    kept(cache, 1)
    tag = (cache.directory / "CACHEDIR.TAG").read_bytes()
    assert tag.startswith(b"Signature: 8a477f597d28d172789f06886806bc55")
    for folder in (cache.directory, cache.directory / REPOSITORY, cache.directory / REPOSITORY / "data"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in files_below(cache.directory)] == [0o600]


def test_what_is_kept_is_listed_by_repository_and_forgotten(cache: Cache) -> None:
    other = 64 * "b"
    kept(cache, 1, 1000)
    cache.keep(entry(1, other), [memoryview(b"12345")])
    os.utime(cache.directory / other / "data" / f"{1:064x}", (1, 1))
    listed = cache.repositories()
    assert [(one.repository, one.files) for one in listed] == [(REPOSITORY, 1), (other, 1)]
    assert listed[1].used_s == 1
    assert listed[0].size_bytes > 1000
    cache.forget(other)
    cache.forget("..")
    assert [one.repository for one in cache.repositories()] == [REPOSITORY]


def test_a_folder_that_cannot_be_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = Cache(tmp_path / "file" / "cache", MIB)
    assert not cache.keep(entry(1), [memoryview(b"1")])
    assert cache.read(entry(1)) is None
    assert cache.repositories() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_makes_none_in_what_belongs_to_another_user(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 1000, 1000)
    assert not Cache(home / ".cache" / "holdfast", MIB).keep(entry(1), [memoryview(b"1")])
    assert [*home.iterdir()] == []


def test_a_file_system_is_not_filled(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "size=2m") as folder:
        cache = Cache(folder / "cache", 64 * MIB)
        answers = [cache.keep(entry(number), [memoryview(content(number, 200_000))]) for number in range(12)]
        assert answers[0]
        assert not answers[-1]
        space = os.statvfs(folder)
        assert space.f_bavail * 20 >= space.f_blocks - 20
        for number, answer in enumerate(answers):
            assert (cache.read(entry(number)) is not None) is answer

"""The trees that are backed up: the same bytes each time, from a fixed seed.

big: random bytes and logs, half and half, in 12 files. small: 46,000 files shaped like /usr/share. changed: small's
shape with one large file, and a change to 1% of it. wide: very many tiny files. tiny: a handful.

A tree is built once for a scale and then kept: a note beside it, written last, says that it is whole.
"""

import itertools
import math
import shutil
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SEED: Final = 20_240_601
MIB: Final = 1 << 20
GIB: Final = 1 << 30
BIG: Final = "big"
SMALL: Final = "small"
CHANGED: Final = "changed"
WIDE: Final = "wide"
WIDE_REFERENCE: Final = "wide-reference"
TINY: Final = "tiny"
_VERSION: Final = "2"
_BIG_FILES: Final = 6
_SMALL_FILES: Final = 46_000
_SMALL_FILES_PER_DIRECTORY: Final = 12
_MEDIAN_BYTES: Final = 2_000
_SIGMA: Final = 1.92
_LARGEST_BYTES: Final = 8 * MIB
_WIDE_FILES: Final = 1_000_000
_WIDE_SHARE: Final = 100
_WIDE_FILES_PER_DIRECTORY: Final = 1_000
_TOUCHED_SHARE: Final = 100
_POOL_BYTES: Final = 16 * MIB
_BLOCK_BYTES: Final = 4 * MIB
_LARGE_FILE: Final = "large-file"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSets:
    """Builds trees below a folder, at a scale: 1.0 is what the tables are about."""

    folder: Path
    scale: float

    def tree(self, name: str) -> Path:
        """The tree of that name, built if it is not there. `changed` is always built again, unchanged."""
        path, note = self.folder / name, self.folder / f"{name}.whole"
        wanted = f"{_VERSION} {self.scale}\n"
        if name != CHANGED and note.exists() and note.read_text() == wanted:
            return path
        note.unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        self._build(name, path)
        note.write_text(wanted)
        return path

    def change(self) -> None:
        """Touch 1% of `changed`, and insert a megabyte in the middle of its large file."""
        random = Random(SEED + 1)
        tree = self.folder / CHANGED
        files = sorted(path for path in tree.rglob("*") if path.is_file() and path.name != _LARGE_FILE)
        for path in random.sample(files, max(1, len(files) // _TOUCHED_SHARE)):
            with path.open("ab") as file:
                file.write(b"changed\n")
        large = tree / _LARGE_FILE
        content = large.read_bytes()
        middle = len(content) // 2
        large.write_bytes(content[:middle] + random.randbytes(MIB) + content[middle:])

    def _build(self, name: str, path: Path) -> None:
        if name == BIG:
            _big(path, self._scaled(GIB))
        elif name == SMALL:
            _small(path, self._scaled(_SMALL_FILES))
        elif name == CHANGED:
            _small(path, self._scaled(_SMALL_FILES))
            _write_random(path / _LARGE_FILE, self._scaled(GIB), number=99)
        elif name == TINY:
            _small(path, 10)
        else:
            files = self._scaled(_WIDE_FILES)
            _wide(path, files if name == WIDE else max(1, files // _WIDE_SHARE))

    def _scaled(self, number: int) -> int:
        return max(1, round(number * self.scale))


def _big(path: Path, half_bytes: int) -> None:
    for number in range(_BIG_FILES):
        _write_random(path / f"random-{number}", half_bytes // _BIG_FILES, number)
        _write_logs(path / f"service-{number}.log", half_bytes // _BIG_FILES, number)


def _write_random(path: Path, size_bytes: int, number: int) -> None:
    """AES in counter mode: a gigabyte in a second. The counters of two files are so far apart that they never meet."""
    counter = (number << 64).to_bytes(16)
    stream = Cipher(algorithms.AES(SEED.to_bytes(16)), modes.CTR(counter)).encryptor()
    with path.open("wb") as file:
        for start in range(0, size_bytes, _BLOCK_BYTES):
            file.write(stream.update(bytes(min(_BLOCK_BYTES, size_bytes - start))))


def _write_logs(path: Path, size_bytes: int, number: int) -> None:
    random = Random(SEED + number)
    written = 0
    with path.open("wb") as file:
        for block in _log_blocks(random):
            file.write(block[: size_bytes - written])
            written += len(block)
            if written >= size_bytes:
                return


def _log_blocks(random: Random) -> Iterator[bytes]:
    """Lines of a web server: few hosts and paths that repeat, times and numbers that do not."""
    lines = 10_000
    paths = [f"/{_word(random)}/{_word(random)}/{_word(random)}" for _ in range(800)]
    hosts = [
        f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)}" for _ in range(200)
    ]
    seconds = 0
    while True:
        numbers = random.choices(range(100_000), k=lines)
        codes = random.choices(("200", "304", "404", "500"), (90, 6, 3, 1), k=lines)
        chosen = zip(
            random.choices(hosts, k=lines), random.choices(paths, k=lines), codes, numbers, strict=True
        )
        text = []
        for host, where, code, number in chosen:
            seconds += number % 3
            clock = f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
            text.append(f'{host} - - [01/Jun/2024:{clock} +0000] "GET {where} HTTP/1.1" {code} {number}\n')
        yield "".join(text).encode()


def _small(path: Path, files: int) -> None:
    """Sizes log-normal, directories a random tree some levels deep; a file in eight does not compress."""
    random = Random(SEED)
    pool = _text(random, _POOL_BYTES)
    noise = random.randbytes(_LARGEST_BYTES)
    directories = [path]
    for number in range(max(1, files // _SMALL_FILES_PER_DIRECTORY)):
        # The newer half is the likelier parent: so the tree gets depth, and not only breadth.
        parent = directories[random.randrange(len(directories) // 2, len(directories))]
        directories.append(parent / f"{_word(random)}-{number}")
        directories[-1].mkdir()
    for number in range(files):
        size = min(_LARGEST_BYTES, round(random.lognormvariate(math.log(_MEDIAN_BYTES), _SIGMA)))
        if number % 8:
            start = random.randrange(len(pool) - size)
            content = pool[start : start + size].translate(_alphabet(random))
        else:
            start = random.randrange(len(noise) - size + 1)
            content = noise[start : start + size]
            content = content.translate(_bytes_table(random))
        suffix = ("txt", "png", "html", "py")[number % 4]
        (random.choice(directories) / f"{_word(random)}-{number}.{suffix}").write_bytes(content)


def _wide(path: Path, files: int) -> None:
    for start in range(0, files, _WIDE_FILES_PER_DIRECTORY):
        below = path / f"directory-{start // _WIDE_FILES_PER_DIRECTORY:05}"
        below.mkdir()
        for number in range(start, min(files, start + _WIDE_FILES_PER_DIRECTORY)):
            with open(below / f"file-{number:07}", "wb", buffering=0) as file:
                file.write(b"%d\n" % number)


def _text(random: Random, size_bytes: int) -> bytes:
    """Words by Zipf's law, in lines."""
    words = [_word(random) for _ in range(20_000)]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
    pieces: list[str] = []
    have = 0
    while have < size_bytes:
        line = " ".join(random.choices(words, cum_weights=weights, k=12)) + "\n"
        pieces.append(line)
        have += len(line)
    return "".join(pieces).encode()[:size_bytes]


def _word(random: Random) -> str:
    return "".join(random.choices(string.ascii_lowercase, k=random.randrange(2, 11)))


def _alphabet(random: Random) -> bytes:
    """Another spelling for each file: as compressible as the pool, and no part of another file."""
    letters = string.ascii_lowercase
    return bytes.maketrans(letters.encode(), "".join(random.sample(letters, len(letters))).encode())


def _bytes_table(random: Random) -> bytes:
    return bytes(random.sample(range(256), 256))

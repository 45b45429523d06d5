"""The generated file: from a fixed seed, one half fresh noise, the rest text and repetition, so that all can be seen.

Noise does not compress, text does, and what is repeated is stored once. AES in counter mode makes the noise: a
gigabyte in a second, the same bytes each time.
"""

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

MIB: Final = 1 << 20
_BLOCK: Final = 16 * MIB
_KEY: Final = b"Holdfast demo 01"
_KINDS: Final = ("noise", "noise", "noise", "text", "repetition")


def write_large_file(path: Path, size_mib: int) -> None:
    """Write a file of that size, a multiple of 16 MiB."""
    noise = Cipher(algorithms.AES(_KEY), modes.CTR(bytes(16))).encryptor()
    zeros = bytes(_BLOCK)
    first = noise.update(zeros)
    with path.open("wb") as file:
        file.write(first)
        for number in range(1, size_mib * MIB // _BLOCK):
            kind = _KINDS[number % len(_KINDS)]
            if kind == "noise":
                file.write(noise.update(zeros))
            elif kind == "text":
                file.write(noise.update(zeros[: _BLOCK // 2]).hex().encode())
            else:
                file.write(first)

"""The config of a repository holds its version, its id, and the polynomial of restic's chunker.

The only file with a fixed name; JSON, sealed, never compressed. The polynomial is a bare hex string of an irreducible
polynomial over GF(2) of degree 53; Holdfast cuts chunks in its own way, but restic refuses a repository without one.
Source: restic, internal/restic/config.go; the test for irreducibility is Rabin's.
"""

import os
from typing import Final

import msgspec

from holdfast.crypto.sealing import Sealer
from holdfast.errors import CorruptFileError, UnsupportedRepositoryError
from holdfast.ids import is_hex_id

VERSIONS: Final = (1, 2)
POLYNOMIAL_DEGREE: Final = 53
_DEGREE_PRIME_FACTORS: Final = (53,)


class RepositoryConfig(msgspec.Struct, frozen=True):
    """version: 1 or 2. id: 64 hex digits. chunker_polynomial: hex, a secret of the repository."""

    version: int
    id: str
    chunker_polynomial: str


_DECODER: Final = msgspec.json.Decoder(RepositoryConfig)


def new_config(version: int) -> RepositoryConfig:
    """A config for a new repository.

    Raises:
        UnsupportedRepositoryError: `version` is not one that can be written.
    """
    if version not in VERSIONS:
        raise UnsupportedRepositoryError(
            f"repository version {version} is unknown", hint="choose 2 (or 1, for very old programs)"
        )
    polynomial = f"{random_polynomial():x}"
    return RepositoryConfig(version=version, id=os.urandom(32).hex(), chunker_polynomial=polynomial)


def encode_config(config: RepositoryConfig, sealer: Sealer) -> bytes:
    """The stored bytes of a config."""
    return sealer.seal(msgspec.json.encode(config))


def decode_config(stored: bytes, sealer: Sealer) -> RepositoryConfig:
    """A config.

    Raises:
        CorruptFileError: not authentic, or not a config.
        UnsupportedRepositoryError: a version that this program does not know.
    """
    try:
        config = _DECODER.decode(sealer.open(stored))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"the repository's config cannot be read: {error}") from error
    if config.version not in VERSIONS:
        raise UnsupportedRepositoryError(
            f"the repository has version {config.version}, and this program knows 1 and 2",
            hint="use a newer Holdfast, or the program that made the repository",
        )
    if not is_hex_id(config.id):
        raise CorruptFileError("the repository's config holds an id that is none")
    return config


def random_polynomial() -> int:
    """A random irreducible polynomial of degree 53; bit n stands for x to the n."""
    while True:
        candidate = int.from_bytes(os.urandom(8), "big") & ((1 << POLYNOMIAL_DEGREE) - 1)
        candidate |= (1 << POLYNOMIAL_DEGREE) | 1
        if is_irreducible(candidate):
            return candidate


def is_irreducible(polynomial: int) -> bool:
    """Rabin's test, for a polynomial of degree 53: x^(2^53) = x, and gcd(x^2 - x, p) = 1, modulo p."""
    if polynomial.bit_length() - 1 != POLYNOMIAL_DEGREE:
        return False
    for factor in _DEGREE_PRIME_FACTORS:
        if _gcd(polynomial, _power_of_x(POLYNOMIAL_DEGREE // factor, polynomial) ^ 2) != 1:
            return False
    return _power_of_x(POLYNOMIAL_DEGREE, polynomial) == 2


def _power_of_x(doublings: int, modulus: int) -> int:
    """x^(2^doublings) modulo `modulus`."""
    result = 2
    for _ in range(doublings):
        result = _remainder(_square(result), modulus)
    return result


def _square(value: int) -> int:
    """Squaring over GF(2) spreads the bits apart."""
    return int("0".join(f"{value:b}"), 2)


def _remainder(value: int, modulus: int) -> int:
    degree = modulus.bit_length()
    while value.bit_length() >= degree:
        value ^= modulus << (value.bit_length() - degree)
    return value


def _gcd(one: int, other: int) -> int:
    while other:
        one, other = other, _remainder(one, other)
    return one

"""scrypt: from a password to the key that opens a key file.

The parameters of a key file come from an untrusted place and are bounded before any memory is spent on them.
Source: restic, doc/design.rst, "Keys, Encryption and MAC", and internal/crypto/kdf.go.
"""

import os
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from holdfast.crypto.sealing import ENCRYPT_KEY_BYTES, MAC_KEY_BYTES, MasterKey, mask_r
from holdfast.errors import CorruptFileError

SALT_BYTES: Final = 64
MIN_SALT_BYTES: Final = 32
MAX_SALT_BYTES: Final = 1024
MAX_N: Final = 1 << 20
MAX_R: Final = 64
MAX_P: Final = 64
MAX_MEMORY_BYTES: Final = 1 << 30
_SCRYPT_BLOCK_BYTES: Final = 128
_MAX_N_OF_R_1: Final = 1 << 16
"""N must be less than 2^(128 r / 8) (RFC 7914, 6); of the others, more than MAX_N."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScryptParameters:
    """Cost and salt of scrypt. Memory is 128 * n * r bytes, time grows with n * r * p."""

    n: int
    r: int
    p: int
    salt: bytes = field(repr=False)

    @classmethod
    def default(cls) -> "ScryptParameters":
        """About half a second; the numbers that restic's calibration arrives at on today's machines."""
        return cls(n=1 << 15, r=8, p=7, salt=os.urandom(SALT_BYTES))

    @classmethod
    def for_tests(cls) -> "ScryptParameters":
        """As cheap as scrypt gets. Not for repositories that hold anything."""
        return cls(n=16, r=8, p=1, salt=os.urandom(SALT_BYTES))

    def check(self) -> None:
        """Bound the cost.

        Raises:
            CorruptFileError: out of bounds, so nobody's honest choice.
        """
        power_of_two = self.n > 1 and self.n & (self.n - 1) == 0
        bounded = self.n <= MAX_N and 0 < self.r <= MAX_R and 0 < self.p <= MAX_P
        defined = self.r > 1 or self.n < _MAX_N_OF_R_1
        memory = _SCRYPT_BLOCK_BYTES * self.n * self.r
        if not power_of_two or not bounded or not defined or memory > MAX_MEMORY_BYTES:
            raise CorruptFileError(f"a key file asks for scrypt with N={self.n}, r={self.r}, p={self.p}")
        if not MIN_SALT_BYTES <= len(self.salt) <= MAX_SALT_BYTES:
            raise CorruptFileError(f"a key file has a salt of {len(self.salt)} bytes")


def derive_key(password: bytes, parameters: ScryptParameters) -> MasterKey:
    """The key that a password stands for.

    Raises:
        CorruptFileError: the parameters are out of bounds.
    """
    parameters.check()
    # By cryptography's OpenSSL: it takes a seventh less time than the one that hashlib was built with.
    raw = Scrypt(
        salt=parameters.salt,
        length=ENCRYPT_KEY_BYTES + 2 * MAC_KEY_BYTES,
        n=parameters.n,
        r=parameters.r,
        p=parameters.p,
    ).derive(password)
    mac = raw[ENCRYPT_KEY_BYTES:]
    return MasterKey(
        encrypt=raw[:ENCRYPT_KEY_BYTES], mac_k=mac[:MAC_KEY_BYTES], mac_r=mask_r(mac[MAC_KEY_BYTES:])
    )

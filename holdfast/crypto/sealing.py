"""Sealed messages: AES-256-CTR for secrecy, Poly1305-AES over the ciphertext for authenticity.

    IV (16 bytes) || ciphertext || tag (16 bytes)

The one-time Poly1305 key is `r || AES-128_k(IV)`, with r masked as Poly1305 demands. A new random IV for each message.
Source: restic, doc/design.rst, "Keys, Encryption and MAC", and internal/crypto/crypto.go. What was not authenticated is
never returned.
"""

import hashlib
import hmac
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305
from typing_extensions import Buffer

from holdfast.errors import CorruptFileError

IV_BYTES: Final = 16
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = IV_BYTES + TAG_BYTES
ENCRYPT_KEY_BYTES: Final = 32
MAC_KEY_BYTES: Final = 16

_R_MASK: Final = bytes.fromhex("ffffff0ffcffff0ffcffff0ffcffff0f")
_NONCE_BATCH: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MasterKey:
    """The secret that a repository is sealed with: AES-256 key, and k and r of Poly1305-AES.

    Raises:
        ValueError: a part has the wrong length, or is all zeros, which restic refuses too.
    """

    encrypt: bytes = field(repr=False)
    mac_k: bytes = field(repr=False)
    mac_r: bytes = field(repr=False)

    def __post_init__(self) -> None:
        sizes = (
            (self.encrypt, ENCRYPT_KEY_BYTES),
            (self.mac_k, MAC_KEY_BYTES),
            (self.mac_r, MAC_KEY_BYTES),
        )
        for part, size in sizes:
            if len(part) != size or not any(part):
                raise ValueError("a key has the wrong length or is all zeros")

    @classmethod
    def random(cls) -> "MasterKey":
        """A new key from the system's randomness."""
        return cls(
            encrypt=os.urandom(ENCRYPT_KEY_BYTES),
            mac_k=os.urandom(MAC_KEY_BYTES),
            mac_r=mask_r(os.urandom(MAC_KEY_BYTES)),
        )

    def derive_secret(self, purpose: bytes) -> bytes:
        """32 bytes that depend on the repository and the purpose, not on any password."""
        return hmac.new(self.encrypt, purpose, hashlib.sha256).digest()


def mask_r(r: bytes) -> bytes:
    """Clear the bits of r that Poly1305 demands to be clear."""
    return bytes(a & b for a, b in zip(r, _R_MASK, strict=True))


class Sealer:
    """Seals and opens messages with one key. Reuses cipher contexts: one thread at a time."""

    def __init__(self, key: MasterKey) -> None:
        zero = bytes(IV_BYTES)
        self._ctr = Cipher(algorithms.AES(key.encrypt), modes.CTR(zero)).encryptor()
        # ECB of single random blocks is the definition of Poly1305-AES's AES_k(nonce).
        self._mac = Cipher(algorithms.AES(key.mac_k), modes.ECB()).encryptor()  # noqa: S305
        self._r = mask_r(key.mac_r)
        self._nonces: list[tuple[bytes, bytes]] = []

    def seal(self, plaintext: bytes) -> bytes:
        """The sealed message as bytes of its own."""
        out = bytearray(len(plaintext) + OVERHEAD_BYTES)
        self.seal_into(plaintext, memoryview(out))
        return bytes(out)

    def seal_into(self, plaintext: bytes | bytearray | memoryview, out: memoryview) -> int:
        """Seal into `out`, which needs room for the plaintext and OVERHEAD_BYTES; the length written."""
        size = plaintext.nbytes if isinstance(plaintext, memoryview) else len(plaintext)
        nonce, one_time = self._nonces.pop() if self._nonces else self._next_nonce()
        end = IV_BYTES + size
        out[:IV_BYTES] = nonce
        ciphertext = out[IV_BYTES:end]
        if size:
            self._ctr.reset_nonce(nonce)
            self._ctr.update_into(plaintext, ciphertext)
        out[end : end + TAG_BYTES] = Poly1305.generate_tag(one_time, ciphertext)
        return end + TAG_BYTES

    def open(self, sealed: Buffer) -> bytes:
        """The plaintext.

        Raises:
            CorruptFileError: the message is too short or was not sealed with this key.
        """
        view = memoryview(sealed).cast("B")
        if len(view) < OVERHEAD_BYTES:
            raise CorruptFileError("a sealed message is shorter than its own overhead")
        nonce = bytes(view[:IV_BYTES])
        ciphertext = view[IV_BYTES:-TAG_BYTES]
        if not any(nonce):
            raise CorruptFileError("a sealed message has an all-zero nonce")
        try:
            Poly1305.verify_tag(self._r + self._mac.update(nonce), ciphertext, bytes(view[-TAG_BYTES:]))
        except InvalidSignature as error:
            raise CorruptFileError("a sealed message is not authentic: damaged, or another key's") from error
        self._ctr.reset_nonce(nonce)
        return self._ctr.update(ciphertext)

    def open_in_place(
        self, data: memoryview, messages: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[memoryview, bool]]:
        """Open messages that lie in one buffer, given as (offset, length), each where it lies.

        For each one a view of its plaintext and True, or an untouched view and False when it is not authentic.
        One AES call makes the one-time keys of all, and nothing is copied.
        """
        nonces = b"".join([data[offset : offset + IV_BYTES] for offset, _ in messages])
        masks, r = self._mac.update(nonces), self._r
        for at, (offset, length) in zip(range(0, len(nonces), IV_BYTES), messages, strict=True):
            nonce = nonces[at : at + IV_BYTES]
            view = data[offset + IV_BYTES : offset + length - TAG_BYTES]
            tag = bytes(data[offset + length - TAG_BYTES : offset + length])
            try:
                Poly1305.verify_tag(r + masks[at : at + IV_BYTES], view, tag)
            except InvalidSignature:
                yield view, False
                continue
            if len(view):
                self._ctr.reset_nonce(nonce)
                self._ctr.update_into(view, view)
            yield view, any(nonce)

    def _next_nonce(self) -> tuple[bytes, bytes]:
        """A fresh nonce and its one-time Poly1305 key; drawn in batches, one AES call for all of them."""
        random = os.urandom(IV_BYTES * _NONCE_BATCH)
        masks = self._mac.update(random)
        self._nonces = [
            (random[at : at + IV_BYTES], self._r + masks[at : at + IV_BYTES])
            for at in range(0, len(random), IV_BYTES)
            if any(random[at : at + IV_BYTES])
        ]
        return self._nonces.pop()

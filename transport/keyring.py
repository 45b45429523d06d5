"""The keys of signatures and of encryption: a few lines of text, of which the first is used and all are believed.

Each line is `id:base64` of 32 bytes; empty lines and lines that begin with "#" do not count. To rotate, a new key is
put last on every host, so that all can read it; then first, so that it is used; an old one is dropped once the server
keeps no run that was signed or encrypted with it.

AES-256-GCM with a random nonce is safe for 2^32 payloads of one key (NIST SP 800-38D, 8.3): a backup sends some dozens.
"""

import base64
import binascii
import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from holdfast.errors import CorruptFileError, SettingsError, UsageError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_HINT: Final = "`holdfast encryption new-key` makes a line as it must be."


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """The keys by id, in the order of their lines."""

    keys: Mapping[str, AESGCM] = field(repr=False)

    @classmethod
    def parse(cls, text: bytes) -> "Keyring":
        """The keys in `text`; messages name a line by its number, because its text is secret.

        Raises:
            SettingsError: a line is not a key, an id comes twice, or there is none.
        """
        return cls(keys={key_id: AESGCM(key) for key_id, key in parse_keys(text, "encryption keys").items()})

    @property
    def current(self) -> str:
        """The id of the key that encrypts."""
        return next(iter(self.keys))

    def seal(self, plain: bytes, associated: bytes) -> bytes:
        """Nonce, ciphertext and tag, by the current key."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self.keys[self.current].encrypt(nonce, plain, associated)

    def open(self, key_id: str, sealed: bytes, associated: bytes) -> bytes:
        """What `seal` was given.

        Raises:
            SettingsError: the key is not here.
            CorruptFileError: it was changed, or sealed for another place.
        """
        key = self.keys.get(key_id)
        if key is None:
            raise SettingsError(
                f"encryption keys: the key {key_id!r}, which something on the server needs, is not there",
                hint="Add its line to the keys, behind the first.",
            )
        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            raise CorruptFileError("an encrypted payload is cut short")
        try:
            return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated)
        except InvalidTag:
            raise CorruptFileError(
                f"a payload does not open with the key {key_id!r}",
                hint="It was changed, comes from another namespace, or the key's line was.",
            ) from None


def parse_keys(text: bytes, what: str) -> dict[str, bytes]:
    """The keys in `text` by id, in the order of their lines. what: how messages call them.

    Raises:
        SettingsError: a line is not a key, an id comes twice, or there is none.
    """
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        key_id, key = _parse_line(stripped, number, what)
        if key_id in keys:
            raise SettingsError(f"{what}: line {number}: the id {key_id} stands there twice", hint=_HINT)
        keys[key_id] = key
    if not keys:
        raise SettingsError(f"{what}: there is no key", hint=_HINT)
    return keys


def new_key_line(key_id: str = "") -> str:
    """A line with a new key; without an id, one of the day's date and chance.

    Raises:
        UsageError: the id is none.
    """
    chosen = key_id or f"{time.strftime('%Y%m%d', time.gmtime())}-{secrets.token_hex(3)}"
    if _ID.fullmatch(chosen) is None:
        raise UsageError(
            "a key's id is of letters, digits, dots, dashes and underscores", hint="Choose another."
        )
    return f"{chosen}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def _parse_line(line: str, number: int, what: str) -> tuple[str, bytes]:
    key_id, colon, encoded = line.partition(":")
    try:
        key = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not colon or _ID.fullmatch(key_id) is None or len(key) != KEY_BYTES:
        raise SettingsError(
            f"{what}: line {number}: an id, a colon and {KEY_BYTES} bytes in base64 are expected",
            hint=_HINT,
        )
    return key_id, key

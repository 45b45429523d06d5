"""Encryption of payloads: everything that this program hands to the server as a value is sealed before it leaves.

A sealed payload is a Temporal payload whose data is the whole original one, metadata included. Its own metadata says
that it is sealed, how, and by which key; key id and namespace are authenticated with it, so that a payload cannot be
moved to another namespace or be said to be of another key. Workflow and run are not: the codec server of the Web UI
is not told them. Payloads that are not sealed pass through, so that runs that began before encryption go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from holdfast.errors import CorruptFileError
from transport.keyring import Keyring

ENCODING: Final = b"binary/encrypted"
CIPHER: Final = b"AES-256-GCM"
_ENCODING_KEY: Final = "encoding"
_CIPHER_KEY: Final = "encryption-cipher"
_KEY_ID_KEY: Final = "encryption-key-id"
_LABEL: Final = "holdfast payload 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionCodec(PayloadCodec):
    """Seals and opens the payloads of one namespace."""

    keyring: Keyring
    namespace: str

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Each payload sealed by the current key."""
        return [self.seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Each payload as it was; those that are not sealed as they are.

        Raises:
            SettingsError, CorruptFileError: as `Keyring.open`.
        """
        return [self.open(payload) for payload in payloads]

    def seal(self, payload: Payload) -> Payload:
        """One payload sealed."""
        key_id = self.keyring.current
        return Payload(
            metadata={_ENCODING_KEY: ENCODING, _CIPHER_KEY: CIPHER, _KEY_ID_KEY: key_id.encode()},
            data=self.keyring.seal(payload.SerializeToString(), self._associated(key_id)),
        )

    def open(self, payload: Payload) -> Payload:
        """One payload opened.

        Raises:
            SettingsError, CorruptFileError: as `Keyring.open`.
        """
        if payload.metadata.get(_ENCODING_KEY) != ENCODING:
            return payload
        cipher = payload.metadata.get(_CIPHER_KEY, b"")
        if cipher != CIPHER:
            raise CorruptFileError("a payload is encrypted by something else than this program")
        key_id = payload.metadata.get(_KEY_ID_KEY, b"").decode("utf-8", "replace")
        plain = self.keyring.open(key_id, payload.data, self._associated(key_id))
        try:
            return Payload.FromString(plain)
        except DecodeError:
            raise CorruptFileError("an encrypted payload holds no payload") from None

    def _associated(self, key_id: str) -> bytes:
        return f"{_LABEL}\0{self.namespace}\0{key_id}".encode()

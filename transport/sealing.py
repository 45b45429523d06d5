"""Encryption of payloads: everything that this program hands to the server as a value is sealed before it leaves.

A sealed payload is a Temporal payload whose data is the whole original one, metadata included. Its own metadata says
that it is sealed, how, by which key, and for which place (a hash of it); all of that is authenticated with it. Workers
know the place by themselves and compare. The codec server of the Web UI, which is not told it, believes the payload,
because it only shows what was sealed.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload

from holdfast.errors import HoldfastError
from holdfast.transport.keyring import Keyring
from holdfast.transport.places import Place
from holdfast.transport.refusals import RefusedError

ENCODING: Final = b"binary/encrypted"
CIPHER: Final = b"AES-256-GCM"
_ENCODING_KEY: Final = "encoding"
_CIPHER_KEY: Final = "encryption-cipher"
_KEY_ID_KEY: Final = "encryption-key-id"
_PLACE_KEY: Final = "holdfast-place"
_LABEL: Final = b"holdfast payload 2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealer:
    """Seals with the first key; any of them opens."""

    keyring: Keyring
    hides: bool = field(default=True, init=False)

    def close(self, payload: Payload, place: Place) -> Payload:
        """The payload, sealed for this place."""
        key_id, where = self.keyring.current, _written(place)
        return Payload(
            metadata={
                _ENCODING_KEY: ENCODING,
                _CIPHER_KEY: CIPHER,
                _KEY_ID_KEY: key_id.encode(),
                _PLACE_KEY: where,
            },
            data=self.keyring.seal(payload.SerializeToString(), _associated(key_id, where)),
        )

    def open(self, payload: Payload, place: Place) -> Payload:
        """The payload that was sealed.

        Raises:
            RefusedError: it is not sealed, not with a key that is here, or not for this place.
        """
        if payload.metadata.get(_ENCODING_KEY) != ENCODING:
            raise RefusedError("it is not encrypted with this installation's key")
        if payload.metadata.get(_PLACE_KEY, b"") != _written(place):
            raise RefusedError("it was encrypted for another place")
        return self.open_anywhere(payload)

    def open_anywhere(self, payload: Payload) -> Payload:
        """The same for any place, and what is not sealed as it is: to be shown, or during a migration.

        Raises:
            RefusedError: it is sealed, but not with a key that is here.
        """
        if payload.metadata.get(_ENCODING_KEY) != ENCODING:
            return payload
        if payload.metadata.get(_CIPHER_KEY, b"") != CIPHER:
            raise RefusedError("it is encrypted by something else than this program")
        key_id = payload.metadata.get(_KEY_ID_KEY, b"").decode("utf-8", "replace")
        where = payload.metadata.get(_PLACE_KEY, b"")
        try:
            return Payload.FromString(self.keyring.open(key_id, payload.data, _associated(key_id, where)))
        except HoldfastError as error:
            raise RefusedError(error.message) from error
        except DecodeError:
            raise RefusedError("what was encrypted is no payload") from None


def _written(place: Place) -> bytes:
    """As a hash: short, and it says nothing that the key's holders alone may know."""
    return hashlib.sha256(json.dumps(place).encode()).digest()


def _associated(key_id: str, where: bytes) -> bytes:
    return b"\0".join((_LABEL, key_id.encode(), where))

"""Signatures of values: readable as they are for everybody, made and believed only by holders of the key.

A signed payload is the original one with two more entries in its metadata: the key's id and HMAC-SHA256 over its place,
the key's id, all its other metadata and its data. All parts are preceded by their length, so no two payloads give the
same bytes to sign.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from temporalio.api.common.v1 import Payload

from holdfast.transport.keyring import parse_keys
from holdfast.transport.places import Place
from holdfast.transport.refusals import RefusedError

KEY: Final = "holdfast-key"
SIGNATURE: Final = "holdfast-signature"
_LABEL: Final = b"holdfast signature 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Signs with the first key; any of them is believed."""

    keys: Mapping[str, bytes] = field(repr=False)
    hides: bool = field(default=False, init=False)

    @classmethod
    def parse(cls, text: bytes) -> "Signer":
        """The keys in `text`, written as those of encryption are.

        Raises:
            SettingsError: a line is not a key, an id comes twice, or there is none.
        """
        return cls(keys=parse_keys(text, "signing keys"))

    def close(self, payload: Payload, place: Place) -> Payload:
        """The payload, signed for this place."""
        key_id = next(iter(self.keys))
        metadata = {**payload.metadata, KEY: key_id.encode()}
        metadata[SIGNATURE] = _signature(self.keys[key_id], place, metadata, payload.data)
        return Payload(metadata=metadata, data=payload.data)

    def open(self, payload: Payload, place: Place) -> Payload:
        """The payload without its signature.

        Raises:
            RefusedError: it has none, or not one for this place.
        """
        metadata = dict(payload.metadata)
        signature = metadata.pop(SIGNATURE, None)
        if signature is None:
            raise RefusedError("it does not bear this installation's signature")
        key_id = metadata.get(KEY, b"").decode("utf-8", "replace")
        key = self.keys.get(key_id)
        if key is None:
            raise RefusedError(f"it is signed with a key that is not known here ({key_id[:64]!r})")
        if not hmac.compare_digest(signature, _signature(key, place, metadata, payload.data)):
            raise RefusedError("it was changed, or signed for another place")
        del metadata[KEY]
        return Payload(metadata=metadata, data=payload.data)

    def open_anywhere(self, payload: Payload) -> Payload:
        """The payload as it is: a signature hides nothing."""
        return payload


def _signature(key: bytes, place: Place, metadata: Mapping[str, bytes], data: bytes) -> bytes:
    parts = [_LABEL, len(place).to_bytes(4, "big")]
    parts += (part.encode("utf-8", "surrogatepass") for part in place)
    for name in sorted(metadata):
        parts += (name.encode(), metadata[name])
    parts.append(data)
    return hmac.digest(key, b"".join(len(part).to_bytes(8, "big") + part for part in parts), "sha256")

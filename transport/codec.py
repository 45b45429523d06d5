"""The codec: what leaves this process is signed or sealed for its place, and what comes in is believed for its place.

Temporal tells it the place of each value (transport/places.py). It never raises for what it does not believe: see
transport/refusals.py.

During a migration (`accept_unsigned` in the settings) what bears no signature is taken as it is, with a warning; so is
what is signed for another place, because runs that began unsigned do not know the place of their steps.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec, SerializationContext, WithSerializationContext

from holdfast.transport.places import Place, nowhere, place_of
from holdfast.transport.refusals import RefusedError, refused

_LOG: Final = logging.getLogger("holdfast.trust")


class Protection(Protocol):
    """`Signer` or `Sealer`. hides: nothing can be read without the key."""

    @property
    def hides(self) -> bool:
        """Nothing can be read without the key."""

    def close(self, payload: Payload, place: Place) -> Payload:
        """Protect it for this place."""

    def open(self, payload: Payload, place: Place) -> Payload:
        """The payload that was protected for this place, or RefusedError."""

    def open_anywhere(self, payload: Payload) -> Payload:
        """What can be read of it, whatever it is: to be shown, or during a migration; or RefusedError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustCodec(PayloadCodec, WithSerializationContext):
    """Protects and opens the payloads of one place."""

    protection: Protection
    namespace: str
    accept_unsigned: bool = False
    place: Place = field(default=())

    def with_context(self, context: SerializationContext) -> "TrustCodec":
        """The same for another place."""
        return replace(self, place=place_of(context, self.namespace))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Each payload protected."""
        return [self.close(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Each payload as it was, or one that says why it is not accepted."""
        return [self.open(payload) for payload in payloads]

    def close(self, payload: Payload) -> Payload:
        """One payload protected."""
        return self.protection.close(payload, self._here)

    def open(self, payload: Payload) -> Payload:
        """One payload opened, or refused."""
        try:
            return self.protection.open(payload, self._here)
        except RefusedError as refusal:
            if self.accept_unsigned:
                return self._accepted(payload, refusal)
            _LOG.warning("a value for %s was refused: %s", self._words, refusal)
            return refused(str(refusal))

    def _accepted(self, payload: Payload, refusal: RefusedError) -> Payload:
        try:
            readable = self.protection.open_anywhere(payload)
        except RefusedError:
            return refused(str(refusal))  # it is encrypted with a key that is not here
        _LOG.warning("accepted because of server.accept_unsigned, for %s: %s", self._words, refusal)
        return readable

    @property
    def _here(self) -> Place:
        return self.place or nowhere(self.namespace)

    @property
    def _words(self) -> str:
        return " ".join(repr(part[:200]) if part else "-" for part in self._here)

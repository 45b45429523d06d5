"""Documents of a run are typed, MessagePack of msgspec structs; and there is one way in which runs decide things.

`decide` is what makes activities idempotent: a decision is a document that is created only if absent, and an attempt
that comes second takes over the first one's.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import msgspec

from holdfast.errors import CorruptFileError

DocumentT = TypeVar("DocumentT", bound=msgspec.Struct)


class Documents(Protocol):
    """The part of a workspace that documents need."""

    def get(self, name: str) -> bytes | None: ...
    def put_new(self, name: str, data: bytes) -> bool: ...


def encode(document: msgspec.Struct | Sequence[msgspec.Struct]) -> bytes:
    """MessagePack of a document."""
    return msgspec.msgpack.encode(document)


def load(documents: Documents, name: str, kind: type[DocumentT]) -> DocumentT | None:
    """Read a document; None when there is none.

    Raises:
        CorruptFileError: the bytes are not such a document.
    """
    data = documents.get(name)
    return None if data is None else decode(data, name, kind)


def decode(data: bytes, name: str, kind: type[DocumentT]) -> DocumentT:
    """A document from its bytes. Raises CorruptFileError as `load`."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise CorruptFileError(
            f"the run's document {name} cannot be read: {error}",
            hint="Another version of Holdfast may have begun the run: cancel it, and start it again.",
        ) from error


def decide(documents: Documents, name: str, document: DocumentT) -> DocumentT:
    """Write `document` unless one is there already; return the one that stands."""
    if documents.put_new(name, encode(document)):
        return document
    standing = load(documents, name, type(document))
    return document if standing is None else standing

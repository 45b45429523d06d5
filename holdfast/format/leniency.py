"""JSON is read as Go reads it into a struct: a member that is null counts as left out, an unknown one is no error.

Other programs write such JSON into restic's repositories (rustic leaves out what it does not know), and restic reads
it. Nearly all stored JSON has none of it: what is strict is tried first, because it is quicker.
"""

from collections.abc import Collection, Mapping
from typing import Final, TypeVar

import msgspec

StructT = TypeVar("StructT", bound=msgspec.Struct)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL: Final = b"null"


def parted(
    json: bytes | msgspec.Raw, known: Collection[str]
) -> tuple[dict[str, bytes | msgspec.Raw], dict[str, bytes | msgspec.Raw]]:
    """The members of an object whose names are known, without those that are null; and the others.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError: not the JSON of an object.
    """
    members = _MEMBERS.decode(json)
    kept = {name: raw for name, raw in members.items() if name in known and bytes(raw) != _NULL}
    return dict(kept), {name: raw for name, raw in members.items() if name not in known}


def joined(members: Mapping[str, bytes | msgspec.Raw]) -> bytes:
    """Members as they stand between the braces of an object."""
    return b",".join(msgspec.json.encode(name) + b":" + bytes(raw) for name, raw in members.items())


def whole(members: Mapping[str, bytes | msgspec.Raw]) -> bytes:
    """An object of these members."""
    return b"{" + joined(members) + b"}"


def read(decoder: msgspec.json.Decoder[StructT], json: bytes, known: Collection[str]) -> StructT:
    """One object with these members, as it stands; or without what is null, if it cannot be read so.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError: nor can it then.
    """
    try:
        return decoder.decode(json)
    except msgspec.ValidationError:
        return decoder.decode(whole(parted(json, known)[0]))

"""Packs are looked for by name, many at once; or in a listing, where that takes fewer requests.

That a pack is not there is believed only when it was asked for by its name.
"""

from collections.abc import Collection, Mapping
from typing import Final

from holdfast.ids import PackId
from holdfast.repository.layout import DATA, pack_name
from holdfast.storage.contract import Storage
from holdfast.storage.parallel import ask_all

_LISTED_AT_ONCE: Final = 1000
"""So many names are in one answer of an object store."""
_LISTING_ROUNDS: Final = 64
"""A listing costs at least so many: a directory's data has 256 folders."""


def sizes_by_name(storage: Storage, packs: Collection[PackId]) -> dict[PackId, int | None]:
    """The size of each pack's file in bytes; None where there is none."""
    ids = list(packs)
    sizes = ask_all(storage, lambda pack: storage.size_or_none(pack_name(pack)), ids)
    return dict(zip(ids, sizes, strict=True))


def sizes_of(storage: Storage, packs: Collection[PackId], *, stored: int) -> Mapping[PackId, int | None]:
    """The same for packs of which there may be many. stored: how many packs the repository has, about."""
    rounds = len(packs) / storage.traits.requests
    if rounds <= max(_LISTING_ROUNDS, stored / _LISTED_AT_ONCE):
        return sizes_by_name(storage, packs)
    listed = {file.name: file.size_bytes for file in storage.list(DATA)}
    found = {pack: listed.get(pack_name(pack)) for pack in packs}
    missing = [pack for pack, size in found.items() if size is None]
    return {**found, **sizes_by_name(storage, missing)}

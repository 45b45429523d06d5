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
"""A listing of a directory costs at least so many: its data has 256 folders."""


def sizes_by_name(storage: Storage, packs: Collection[PackId]) -> dict[PackId, int | None]:
    """The size of each pack's file in bytes; None where there is none."""
    ids = list(packs)
    sizes = ask_all(storage, lambda pack: storage.size_or_none(pack_name(pack)), ids)
    return dict(zip(ids, sizes, strict=True))


def sizes_of(
    storage: Storage, packs: Collection[PackId], *, stored: int, few: bool = False
) -> Mapping[PackId, int | None]:
    """The same for packs of which there may be many. stored: how many packs the repository has, about. few: these are
    few of them."""
    if not _is_listing_better(storage, len(packs), stored, few=few):
        return sizes_by_name(storage, packs)
    listed = {file.name: file.size_bytes for file in storage.list(DATA)}
    found = {pack: listed.get(pack_name(pack)) for pack in packs}
    missing = [pack for pack, size in found.items() if size is None]
    return {**found, **sizes_by_name(storage, missing)}


def _is_listing_better(storage: Storage, wanted: int, stored: int, *, few: bool) -> bool:
    """At a distance each request is paid for, and waited for; in a directory of this host only the work counts."""
    if storage.traits.latency_s:
        return wanted > 1 + stored // _LISTED_AT_ONCE
    return not few and wanted / storage.traits.requests > max(_LISTING_ROUNDS, stored / _LISTED_AT_ONCE)

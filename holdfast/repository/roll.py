"""A roll holds what all snapshots of a repository say, in one sealed file of this host's cache.

A snapshot never changes, and its name is the hash of its content. So what was read and decoded once is believed for as
long as the store lists a file of that name and size; whether it is there is the store's word alone. Opening a file for
each of thousands of snapshots, at every backup and every list, is what this spares, also where the repository is near.

The file is the cache's (storage/cache.py): it proves itself, may be lost or refused at any moment, and is replaced as
a whole, so that of several processes the last one wins. It is sealed as the repository's own files are, and says whose
it is: what lies there in its place is no roll. Where something is to be proven, there is none (`past_cache`).
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from holdfast.crypto.sealing import Sealer
from holdfast.errors import CorruptFileError
from holdfast.format.sealed import decode_file, encode_file
from holdfast.ids import SnapshotId, from_hex, is_hex_id, to_hex
from holdfast.storage.cache import Cache

_FOLDER: Final = "rolls"
_FEW: Final = 16
_SHARE: Final = 16
"""A roll is written again when more than a few, and than such a part of all, are not in it or not in the store."""


class _Stored(msgspec.Struct, frozen=True, kw_only=True, tag="holdfast-roll"):
    """The roll as it is written. snapshots: by id the stored size, and the JSON."""

    repository: str
    snapshots: dict[str, tuple[int, msgspec.Raw]]


_DECODER: Final = msgspec.json.Decoder(_Stored)


class Roll:
    """The roll of one repository. Thread-safe, and nothing of it is kept in memory."""

    def __init__(self, cache: Cache, repository_id: str, sealer: Callable[[], Sealer]) -> None:
        self._cache = cache
        self._repository = repository_id
        self._entry = f"{repository_id}/{_FOLDER}/{repository_id}"
        self._sealer = sealer

    def read(self, listed: Mapping[SnapshotId, int]) -> dict[SnapshotId, bytes]:
        """The JSON of those snapshots that stand in it with the size that the store has just said."""
        sealed = self._cache.read(self._entry)
        if sealed is None:
            return {}
        try:
            stored = _DECODER.decode(decode_file(self._sealer(), sealed))
        except (CorruptFileError, msgspec.MsgspecError, UnicodeDecodeError):
            self._cache.drop(self._entry)
            return {}
        if stored.repository != self._repository:
            return {}
        found = (
            (SnapshotId(from_hex(name)), one) for name, one in stored.snapshots.items() if is_hex_id(name)
        )
        return {
            snapshot_id: bytes(json) for snapshot_id, (size, json) in found if listed.get(snapshot_id) == size
        }

    def renew(self, listed: Mapping[SnapshotId, int], kept: int, found: Mapping[SnapshotId, bytes]) -> None:
        """Write it again if that is worth it. kept: how many stood in it. found: the JSON of all that could be read."""
        if len(found) - kept <= max(_FEW, len(found) // _SHARE):
            return
        snapshots = {to_hex(one): (listed[one], msgspec.Raw(json)) for one, json in found.items()}
        written = msgspec.json.encode(_Stored(repository=self._repository, snapshots=snapshots))
        self._cache.keep(self._entry, [memoryview(encode_file(self._sealer(), written, version=2))])

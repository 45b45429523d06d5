"""A repository at a distance is read through this host's cache: index files, snapshots and packs of trees.

What proves something about the store asks the store: verifications and drills, and the reading of packs of data and
of damaged ones go past the cache. docs/adr/0057-the-local-cache.md has the reasons.
"""

from typing import Final

from holdfast.repository.layout import DATA, INDEX, SNAPSHOTS
from holdfast.repository.repository import Repository
from holdfast.repository.roll import Roll
from holdfast.storage.cache import Cache
from holdfast.storage.contract import Storage
from holdfast.storage.layers.cached import Cached
from holdfast.storage.layers.read_only import ReadOnly

_LISTED: Final = frozenset({INDEX, SNAPSHOTS})


def join_cache(repository: Repository, cache: Cache | None) -> None:
    """Give a repository that was just opened this host's cache, before its companion. A near one needs none."""
    if cache is None:
        return
    repository.cache_dir = cache.directory
    repository.roll = Roll(cache, repository.id, repository.sealer)
    storage = repository.storage
    if storage.traits.latency_s:
        repository.storage = repository.companion = _cached(storage, cache, repository.id, packs=False)
        repository.tree_packs = _cached(storage, cache, repository.id, packs=True)


def past_cache(repository: Repository) -> Repository:
    """The same repository as the store has it; itself where there is no cache."""
    if repository.bare is repository.storage and repository.roll is None:
        return repository
    bare = Repository(repository.bare, repository.config, repository.key, repository.key_id)
    bare.companion, bare.workspaces = repository.companion, repository.workspaces
    return bare


def _cached(storage: Storage, cache: Cache, repository_id: str, *, packs: bool) -> Storage:
    """A layer over the storage, below the one that refuses to write, if there is that."""
    if isinstance(storage, ReadOnly):
        return ReadOnly(_cached(storage.below, cache, repository_id, packs=packs))
    return Cached(storage, cache, repository_id, listed=_LISTED, packs_in=DATA, packs=packs)

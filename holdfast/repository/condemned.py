"""Condemned packs are about to be deleted: no index names them, and a checkpoint that does must not be believed.

A prune writes the list under the exclusive lock, after which it deletes the packs under the shared one
(docs/retention.md). A run that goes on from a checkpoint may know packs by name that are in no index. So it asks here
first. The list is there before any lock that the run may have had since; each deletion looks at the index after that.
So whichever comes second, the run's index file or the deletion, sees the other. A run that was frozen before it stored
an index file, and whose lock has gone, asks afterwards as well (session.py).

One document for each prune, in the companion: `holdfast/condemned/<name>`. It stays after the prune has ended, because
a deletion that is frozen may still come, until the next prune has the exclusive lock. A prune that finds its list gone
deletes nothing more: another was alone since, and a run may have gone on from its checkpoint (delete.py).
"""

from collections.abc import Collection
from typing import Final

from holdfast.ids import ID_BYTES, PackId
from holdfast.repository.repository import Repository
from holdfast.repository.sealed_folder import SealedFolder

CONDEMNED: Final = "holdfast/condemned"


def condemn(repository: Repository, name: str, packs: Collection[PackId], *, alone: bool) -> None:
    """Write the list of a prune. name: of the prune, 32 hex digits.

    alone: under the exclusive lock, where older lists are no longer of use; they go once the new one is written.
    """
    folder = SealedFolder(repository, CONDEMNED)
    folder.put(name, b"".join(sorted(packs)))
    if alone:
        folder.remove_many([other for other in folder.list() if other != name])


def is_list_there(repository: Repository, name: str) -> bool:
    """Whether the list of a prune stands."""
    return SealedFolder(repository, CONDEMNED).has(name)


def are_condemned(repository: Repository, packs: Collection[PackId]) -> bool:
    """Whether any of these packs is. Asks the companion once, and once more for each list."""
    if not packs:
        return False
    folder = SealedFolder(repository, CONDEMNED)
    for name in folder.list():
        ids = folder.get(name) or b""
        if not {PackId(ids[at : at + ID_BYTES]) for at in range(0, len(ids), ID_BYTES)}.isdisjoint(packs):
            return True
    return False

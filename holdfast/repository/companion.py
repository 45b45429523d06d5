"""The companion of a repository holds what is Holdfast's own: documents of runs, and marks of damage.

By default that is the repository's own storage, where restic ignores the folder `holdfast/`. Not every place will do:
restic's REST server takes no names but restic's, object lock forbids to replace a file, and a medium that is only read
takes nothing. Then the settings name another place, or the state directory serves (docs/adr/0048-the-companion.md).

A place may serve several repositories: each has a folder of its own there, by its id. What lies in the repository's own
storage from before is still read where that matters: marks (damage.py); and a run that was begun with another companion
is told so (runs/elsewhere.py), instead of beginning again from nothing.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from holdfast.repository.repository import Repository
from holdfast.storage.credentials import CredentialSource, no_credentials
from holdfast.storage.layers.read_only import ReadOnly
from holdfast.storage.locations import open_storage
from holdfast.storage.os_errors import translated

_BESIDE: Final = "beside"
CLOCK: Final = "holdfast/clock"
"""What is written here tells the companion's time of now."""


def join_companion(
    repository: Repository, place: str, state_dir: Path, credentials: CredentialSource = no_credentials
) -> None:
    """Give a repository that was just opened its companion.

    place: a location, as `open_storage` takes it with these credentials, in which it has a folder; empty for the
    repository's own storage, or the state directory where that is only read or keeps no documents.

    Raises:
        UsageError: from `open_storage`.
    """
    storage = repository.storage
    if not place and (isinstance(storage, ReadOnly) or not storage.traits.keeps_documents):
        place = str(state_dir / _BESIDE)
    if place:
        repository.companion = open_storage(f"{place.rstrip('/')}/{repository.id}", credentials)


def has_companion(repository: Repository) -> bool:
    """Whether it is another storage than the repository's own."""
    return repository.companion is not repository.storage


def companion_time_ns(repository: Repository) -> int:
    """What time it is by the companion's clock, in ns since 1970: something is written for this, and removed again.

    A crash leaves an empty file under CLOCK, which the janitor takes away.
    """
    companion, name = repository.companion, f"{CLOCK}/{secrets.token_hex(8)}"
    companion.put(name, b"")
    dated_ns = next((file.modified_ns for file in companion.list(CLOCK) if file.name == name), 0)
    companion.delete(name)
    return dated_ns


def own_directories(repository: Repository) -> frozenset[tuple[int, int]]:
    """Device and inode of the directories of this host in which its files, its companion's and the cache lie, as far as
    they are there: no backup takes them in, and no restore deletes them."""
    found: set[tuple[int, int]] = set()
    stored = (repository.storage.traits.directory, repository.companion.traits.directory)
    for directory in {*stored, repository.cache_dir} - {None}:
        with translated(str(directory)), contextlib.suppress(FileNotFoundError):
            status = os.stat(str(directory))
            found.add((status.st_dev, status.st_ino))
    return frozenset(found)

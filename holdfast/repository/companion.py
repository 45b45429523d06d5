"""The companion of a repository holds what is Holdfast's own: documents of runs, and marks of damage.

By default that is the repository's own storage, where restic ignores the folder `holdfast/`. Not every place will do:
restic's REST server takes no names but restic's, object lock forbids to replace a file, and a medium that is only read
takes nothing. Then the settings name another place, or the state directory serves (docs/adr/0048-the-companion.md).

Documents of runs alone lie on this host where the repository is at a distance and the server is this host's own: a run
that is gone on with needs that server's database, which lies in the same state directory, so nobody else could go on
with it; and each document would be a request or two (docs/adr/0056-few-requests.md). Marks stay in the companion, where
other hosts find them.

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
from holdfast.storage.contract import Storage
from holdfast.storage.credentials import CredentialSource, no_credentials
from holdfast.storage.layers.read_only import ReadOnly
from holdfast.storage.locations import open_storage
from holdfast.storage.os_errors import translated

_BESIDE: Final = "beside"
CLOCK: Final = "holdfast/clock"
"""What is written here tells the companion's time of now."""


def join_companion(
    repository: Repository,
    place: str,
    state_dir: Path,
    credentials: CredentialSource = no_credentials,
    *,
    own_server: bool = False,
) -> None:
    """Give a repository that was just opened its companion, and a place for the documents of runs.

    place: a location, as `open_storage` takes it with these credentials, in which it has a folder; empty for the
    repository's own storage, or the state directory where that is only read or keeps no documents. own_server: the
    server of all runs is the one whose database lies in the state directory.

    Raises:
        UsageError: from `open_storage`.
    """
    storage = repository.storage
    beside = f"{state_dir}/{_BESIDE}/{repository.id}"
    if place:
        repository.companion = open_storage(f"{place.rstrip('/')}/{repository.id}", credentials)
    elif isinstance(storage, ReadOnly) or not storage.traits.keeps_documents:
        repository.companion = open_storage(beside)
        repository.is_private = storage.traits.directory is None
    elif own_server and storage.traits.latency_s:
        repository.workspaces = open_storage(beside)


def has_companion(repository: Repository) -> bool:
    """Whether it is another storage than the repository's own."""
    return repository.companion is not repository.storage


def time_ns_of(storage: Storage) -> int:
    """What time it is by a storage's clock, in ns since 1970: something is written for this, and removed again.

    A crash leaves an empty file under CLOCK, which the janitor takes away.
    """
    name = f"{CLOCK}/{secrets.token_hex(8)}"
    storage.put(name, b"")
    dated_ns = next((file.modified_ns for file in storage.list(CLOCK) if file.name == name), 0)
    storage.delete(name)
    return dated_ns


def own_directories(repository: Repository) -> frozenset[tuple[int, int]]:
    """Device and inode of the directories of this host in which its files, its companion's and the cache lie, as far as
    they are there: no backup takes them in, and no restore deletes them."""
    found: set[tuple[int, int]] = set()
    stored = {storage.traits.directory for storage in repository.storages}
    for directory in {*stored, repository.cache_dir} - {None}:
        with translated(str(directory)), contextlib.suppress(FileNotFoundError):
            status = os.stat(str(directory))
            found.add((status.st_dev, status.st_ino))
    return frozenset(found)

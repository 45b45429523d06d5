"""Looks at a repository's storage before a run is asked for: what would stop it in the middle stops it now."""

from holdfast.errors import RepositoryNotFoundError, StorageDeniedError
from holdfast.repository.layout import CONFIG
from holdfast.service.settings.model import RepositoryProfile
from holdfast.storage.locations import is_read_only, open_storage


def check_repository(repository: RepositoryProfile) -> None:
    """Fail now, and not after a server was started, where there is no repository. A place at a distance is not looked
    at: what opens it finds out, and its client has threads, after which no worker can be forked.

    Raises:
        RepositoryNotFoundError: no config is there.
        StorageDeniedError, StorageUnavailableError, UsageError: from the storage.
    """
    storage = open_storage(repository.location)
    if storage.traits.latency_s:
        return
    if storage.size_or_none(CONFIG) is None:
        raise RepositoryNotFoundError(
            f"{storage.location}: there is no repository (no file `config`)",
            hint="Look for a typing error, or create one there with `holdfast init`.",
        )


def check_writable(repository: RepositoryProfile) -> None:
    """Fail now where a backup would in the middle.

    Raises:
        StorageDeniedError: the medium is read-only.
    """
    storage = open_storage(repository.location)
    if is_read_only(storage):
        raise StorageDeniedError(
            f"{storage.location}: read-only file system",
            hint="Mount it for writing, or back up to another repository.",
        )


def is_only_read(repository: RepositoryProfile) -> bool:
    """Whether nothing is locked or written there: that is wanted, or the medium is read-only."""
    return repository.no_lock or is_read_only(open_storage(repository.location))

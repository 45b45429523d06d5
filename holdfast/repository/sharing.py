"""A repository is opened by the key that another process of this host has derived; else one is derived for all."""

from holdfast.errors import RepositoryNotFoundError, StoredFileMissingError
from holdfast.ids import sha256
from holdfast.repository.layout import CONFIG
from holdfast.repository.repository import CONFIG_LIMIT_BYTES, Repository
from holdfast.repository.shared_keys import SharedKeys
from holdfast.storage.contract import Storage


def config_hash(storage: Storage) -> bytes:
    """The SHA-256 of the config file that is there now: another one is another repository.

    Raises:
        RepositoryNotFoundError: there is none.
        StorageDeniedError, StorageUnavailableError: from the storage.
    """
    try:
        return sha256(storage.get(CONFIG, limit_bytes=CONFIG_LIMIT_BYTES))
    except StoredFileMissingError:
        raise RepositoryNotFoundError(
            f"there is no repository at {storage.location}",
            hint="Check the location, or create one with `holdfast init`.",
        ) from None


def open_sharing(storage: Storage, password: bytes, config: bytes, keys: SharedKeys) -> Repository:
    """Open a repository with the shared key, if there is one; else by the password, which takes half a second.

    config: the config file's hash.

    Raises:
        As `Repository.open`.
    """
    shared = keys.get(config, password)
    if shared is not None:
        return Repository.open_with_key(storage, shared)
    repository = Repository.open(storage, password)
    keys.put(config, password, repository.handed_key)
    return repository

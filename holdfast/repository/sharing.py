"""A repository is opened by the key that another process of this host has derived; else one is derived for all."""

from holdfast.ids import sha256
from holdfast.repository.repository import Repository
from holdfast.repository.shared_keys import SharedKeys
from holdfast.storage.contract import Storage


def open_sharing(storage: Storage, password: bytes, stored: bytes, keys: SharedKeys) -> Repository:
    """Open a repository with the shared key, if there is one; else by the password, which takes half a second.

    stored: its config file, which is not read once more: with its hash the key is found.

    Raises:
        As `Repository.open`.
    """
    config = sha256(stored)
    shared = keys.get(config, password)
    if shared is not None:
        return Repository.open_with_key(storage, shared, stored=stored)
    repository = Repository.open(storage, password, stored=stored)
    keys.put(config, password, repository.handed_key)
    return repository

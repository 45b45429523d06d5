"""Every password of a repository has a key file, and each of them opens the same master key.

Changing a password adds the new key before it removes the old one, so that a crash in between leaves both, never none.
"""

from dataclasses import dataclass

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import CorruptFileError, StoredFileMissingError, UsageError
from holdfast.ids import KeyId, short, to_hex
from holdfast.repository.key_files import created_ns, read_key, write_key
from holdfast.repository.layout import KEYS, file_name, list_ids
from holdfast.repository.repository import Repository
from holdfast.units import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A key file as `key list` shows it. Only `id` is authenticated. current: the one this process opened."""

    id: KeyId
    created_ns: int
    username: str
    hostname: str
    current: bool


def list_keys(repository: Repository) -> list[StoredKey]:
    """The repository's keys, oldest first. One that cannot be read has no names and no time."""
    keys = []
    for raw, _ in list_ids(repository.storage, KEYS):
        key_id = KeyId(raw)
        try:
            key = read_key(repository.storage, key_id)
        except StoredFileMissingError:
            continue
        except CorruptFileError:
            keys.append(_stored(repository, key_id, 0, "", ""))
            continue
        keys.append(_stored(repository, key_id, created_ns(key), key.username, key.hostname))
    return sorted(keys, key=lambda key: (key.created_ns, key.id))


def add_key(
    repository: Repository,
    password: bytes,
    *,
    kdf: ScryptParameters | None = None,
    host: str = "",
    user: str = "",
) -> KeyId:
    """Let a further password open the repository; the new key's id.

    Raises:
        UsageError: the password is empty.
    """
    if not password:
        raise UsageError("an empty password protects nothing", hint="Choose another one.")
    return write_key(repository.storage, password, repository.key, kdf=kdf, host=host, user=user)


def remove_key(repository: Repository, prefix: str) -> KeyId:
    """Remove the key whose id begins with `prefix`; its id.

    Raises:
        UsageError: no key or several begin so; or it is the one that this process has opened, so that at least one
            key whose password is known always stays.
    """
    ids = [KeyId(raw) for raw, _ in list_ids(repository.storage, KEYS)]
    matches = [key_id for key_id in ids if prefix and to_hex(key_id).startswith(prefix)]
    if len(matches) != 1:
        what = "no key begins" if not matches else counted(len(matches), "key begins", "keys begin")
        raise UsageError(f"{what} with {prefix[:64]!r}", hint="`holdfast key list` shows the ids.")
    if matches[0] == repository.key_id:
        raise UsageError(
            f"key {short(matches[0])} is the one in use and cannot be removed",
            hint="Open the repository with another password first, or change this one.",
        )
    repository.storage.delete(file_name(KEYS, matches[0]))
    return matches[0]


def change_password(repository: Repository, password: bytes, *, kdf: ScryptParameters | None = None) -> KeyId:
    """Replace the key in use by one with another password; the new key's id.

    Raises:
        UsageError: the password is empty.
    """
    old = repository.key_id
    new = add_key(repository, password, kdf=kdf)
    repository.key_id = new
    repository.storage.delete(file_name(KEYS, old))
    return new


def _stored(repository: Repository, key_id: KeyId, created: int, username: str, hostname: str) -> StoredKey:
    return StoredKey(
        id=key_id,
        created_ns=created,
        username=username,
        hostname=hostname,
        current=key_id == repository.key_id,
    )

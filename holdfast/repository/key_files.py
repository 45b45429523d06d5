"""Key files are written, read, and picked for the passwords that are tried; keys.py adds and removes them."""

import time
from typing import Final

from holdfast.crypto.kdf import ScryptParameters
from holdfast.crypto.sealing import MasterKey
from holdfast.errors import CorruptFileError, StoredFileMissingError, WrongPasswordError
from holdfast.format.key import KeyFile, create_key, decode_key
from holdfast.format.times import parse_time
from holdfast.ids import KeyId, sha256
from holdfast.repository.identity import this_host, this_user
from holdfast.repository.layout import KEYS, file_name, list_ids
from holdfast.repository.second_look import looked_at_again
from holdfast.storage.contract import Storage

_KEY_LIMIT_BYTES: Final = 64 * 1024
_MAX_KEY_FILES: Final = 256
_MAX_KEY_TRIES: Final = 20
"""Each try costs half a second of scrypt; restic's limit (internal/global/global.go, `maxKeys`)."""
DAMAGED_HINT: Final = (
    "The file is damaged; `restic check` and restic's troubleshooting manual help from here."
)


def read_key(storage: Storage, key_id: KeyId) -> KeyFile:
    """A key file, still sealed.

    Raises:
        StoredFileMissingError: there is none of that id.
        CorruptFileError: it is not what its name says, or no key file.
    """
    return looked_at_again(storage, lambda: _read_key(storage, key_id))


def _read_key(storage: Storage, key_id: KeyId) -> KeyFile:
    name = file_name(KEYS, key_id)
    stored = storage.get(name, limit_bytes=_KEY_LIMIT_BYTES)
    if sha256(stored) != key_id:
        raise CorruptFileError(f"{name}: the content is not what the name says", hint=DAMAGED_HINT)
    try:
        return decode_key(stored)
    except CorruptFileError as error:
        raise CorruptFileError(f"{name}: {error.message}", hint=DAMAGED_HINT) from error


def write_key(
    storage: Storage, password: bytes, key: MasterKey, *, kdf: ScryptParameters | None, host: str, user: str
) -> KeyId:
    """Store a new key file that opens `key`; its id. host, user: what it records, by default who we are."""
    stored = create_key(
        password,
        key,
        kdf or ScryptParameters.default(),
        created_ns=time.time_ns(),
        host=host or this_host(),
        user=user or this_user(),
    )
    key_id = KeyId(sha256(stored))
    storage.put(file_name(KEYS, key_id), stored)
    return key_id


def created_ns(key: KeyFile) -> int:
    """When a key file says it was made; 0 when it says nothing that can be read (this field is not authenticated)."""
    try:
        return parse_time(key.created)
    except ValueError:
        return 0


def keys_to_try(storage: Storage, unreadable: list[CorruptFileError]) -> list[tuple[KeyId, KeyFile]]:
    """The newest key files, newest first; what cannot be read goes to `unreadable`."""
    found: list[tuple[KeyId, KeyFile]] = []
    for raw, _ in sorted(list_ids(storage, KEYS))[:_MAX_KEY_FILES]:
        key_id = KeyId(raw)
        try:
            found.append((key_id, read_key(storage, key_id)))
        except StoredFileMissingError:
            continue
        except CorruptFileError as error:
            unreadable.append(error)
    found.sort(key=lambda pair: created_ns(pair[1]), reverse=True)
    return found[:_MAX_KEY_TRIES]


def wrong_password(storage: Storage, unreadable: list[CorruptFileError]) -> WrongPasswordError:
    if unreadable:
        return WrongPasswordError(
            f"{storage.location}: wrong password, or its key is one of {len(unreadable)} that cannot be read",
            hint=unreadable[0].message,
        )
    return WrongPasswordError(
        f"{storage.location}: wrong password: no key opens with it",
        hint="Check the password, and that the file or command it comes from adds nothing to it.",
    )

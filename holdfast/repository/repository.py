"""An open repository has a storage, config and master key, and small sealed files, checked on the way in and out.

The order of `init`, with what a crash in between leaves:

    1. refuse where there is a config, or anything else that a repository holds beside keys;
    2. write a key file (or take the master key of one that an earlier, interrupted `init` wrote with this password);
    3. create the folders;
    4. create the config, if there is none: only now is there a repository. Whether this call did it is known from the
       config that stands, because the storage's answer can be lost. Of two at once, one wins; the other removes its key
       file, unless the winner has found and used it in step 2.

A crash before 4 leaves at worst a key file, which the next `init` with the same password goes on from.
"""

import threading
from pathlib import Path
from typing import Final

from holdfast.chunker import seed_from
from holdfast.crypto.kdf import ScryptParameters
from holdfast.crypto.sealing import MasterKey, Sealer
from holdfast.errors import (
    CorruptFileError,
    RepositoryExistsError,
    RepositoryNotFoundError,
    StorageDeniedError,
    StorageUnavailableError,
    StoredFileMissingError,
    WrongPasswordError,
)
from holdfast.format.config import RepositoryConfig, decode_config, encode_config, new_config
from holdfast.format.key import open_key
from holdfast.format.pack import BlobDecoder
from holdfast.format.sealed import DEFAULT_LIMIT_BYTES, decode_file, encode_file
from holdfast.ids import KeyId, sha256, short
from holdfast.repository.key_files import DAMAGED_HINT, keys_to_try, write_key, wrong_password
from holdfast.repository.layout import CONFIG, DATA, INDEX, KEYS, SNAPSHOTS, file_name, folders, list_ids
from holdfast.repository.roll import Roll
from holdfast.repository.second_look import looked_at_again
from holdfast.storage.contract import Storage

_CHUNKER_PURPOSE: Final = b"holdfast chunker seed"
_ALIAS_PURPOSE: Final = b"holdfast repository alias"
_ALIAS_LENGTH: Final = 32
_CONFIG_LIMIT_BYTES: Final = 64 * 1024
_HANDED_PARTS: Final = ((0, 32), (32, 64), (64, 80), (80, 96))
_HANDED_BYTES: Final = 96


class Repository:
    """A repository that a password has opened. Thread-safe: ciphers are kept per thread.

    companion: where what is our own lies, and workspaces: where documents of runs do (companion.py). is_private: no
    other host sees the companion, though it sees the repository. tree_packs: the
    storage that trees are read and written through, and bare: the one past this host's cache, which lies in cache_dir
    (caching.py), as roll does. Set, if ever, where the repository is opened, before it is used.
    """

    def __init__(self, storage: Storage, config: RepositoryConfig, key: MasterKey, key_id: KeyId) -> None:
        self.storage = storage
        self.companion = storage
        self.is_private = False
        self.tree_packs = storage
        self.bare = storage
        self.cache_dir: Path | None = None
        self.roll: Roll | None = None
        self._workspaces: Storage | None = None
        self.config = config
        self.key = key
        self.key_id = key_id
        self.chunker_seed = seed_from(key.derive_secret(_CHUNKER_PURPOSE))
        self._local = threading.local()

    @classmethod
    def init(
        cls,
        storage: Storage,
        password: bytes,
        *,
        version: int = 2,
        kdf: ScryptParameters | None = None,
        host: str = "",
        user: str = "",
    ) -> "Repository":
        """Create a repository.

        Raises:
            RepositoryExistsError: there is one, or parts of one.
            UnsupportedRepositoryError: `version` cannot be written.
            StorageDeniedError, StorageFullError, StorageUnavailableError: from the storage.
        """
        config = new_config(version)
        _refuse_existing(storage)
        unfinished = _open_any_key(storage, password)
        if unfinished is None:
            key = MasterKey.random()
            key_id = write_key(storage, password, key, kdf=kdf, host=host, user=user)
        else:
            key, key_id = unfinished
        storage.make_folders(folders())
        stored = encode_config(config, Sealer(key))
        try:
            is_new = storage.put_new(CONFIG, stored)
        except StorageDeniedError:
            if unfinished is None:
                storage.delete(file_name(KEYS, key_id))
            raise
        if not is_new and stored_config(storage) != stored:
            _withdraw_key(storage, key, key_id)
            raise _exists(storage)
        return cls(storage, config, key, key_id)

    @classmethod
    def open(cls, storage: Storage, password: bytes, *, stored: bytes | None = None) -> "Repository":
        """Open a repository. stored: its config file, of a caller that has just read it.

        Raises:
            RepositoryNotFoundError: the location holds none.
            WrongPasswordError: no key file opens with the password.
            UnsupportedRepositoryError: a version that this program does not know.
            CorruptFileError: the config is not authentic.
            StorageDeniedError, StorageUnavailableError: from the storage.
        """
        stored = stored_config(storage) if stored is None else stored
        unreadable: list[CorruptFileError] = []
        damaged: CorruptFileError | None = None
        for key_id, key_file in keys_to_try(storage, unreadable):
            try:
                key = open_key(key_file, password)
                return cls(storage, _config_in(storage, stored, Sealer(key)), key, key_id)
            except WrongPasswordError:
                continue
            except CorruptFileError as error:
                damaged = CorruptFileError(
                    f"{storage.location}: key {short(key_id)} opens, but then: {error.message}",
                    hint=DAMAGED_HINT,
                )
        raise damaged or wrong_password(storage, unreadable)

    @classmethod
    def open_with_key(cls, storage: Storage, handed: bytes, *, stored: bytes) -> "Repository":
        """Open a repository with what `handed_key` of another process's repository was. stored: as `open` takes it.

        Raises:
            CorruptFileError: the key is not that of the repository that is there now.
            StorageDeniedError, StorageUnavailableError: from the storage.
        """
        if len(handed) != _HANDED_BYTES:
            raise CorruptFileError("a key that was handed over has the wrong length")
        key_id, encrypt, mac_k, mac_r = (handed[begin:end] for begin, end in _HANDED_PARTS)
        key = MasterKey(encrypt=encrypt, mac_k=mac_k, mac_r=mac_r)
        config = _config_in(storage, stored, Sealer(key))
        return cls(storage, config, key, KeyId(key_id))

    @property
    def handed_key(self) -> bytes:
        """The open key, for another process of this user that is to spare the half second of deriving it. A secret."""
        return self.key_id + self.key.encrypt + self.key.mac_k + self.key.mac_r

    @property
    def workspaces(self) -> Storage:
        """Where documents of runs lie: the companion, or a directory of this host."""
        return self._workspaces or self.companion

    @workspaces.setter
    def workspaces(self, storage: Storage) -> None:
        self._workspaces = storage

    @property
    def storages(self) -> list[Storage]:
        """All that it is kept in, its own first."""
        return list({id(one): one for one in (self.storage, self.companion, self.workspaces)}.values())

    def __repr__(self) -> str:
        return f"<Repository {self.config.id[:8]} at {self.storage.location}>"

    @property
    def id(self) -> str:
        """The repository's id, 64 hex digits."""
        return self.config.id

    @property
    def alias(self) -> str:
        """A name for those who must not know the repository: all who have its key make the same of it."""
        return self.key.derive_secret(_ALIAS_PURPOSE).hex()[:_ALIAS_LENGTH]

    @property
    def version(self) -> int:
        """The format version, 1 or 2."""
        return self.config.version

    def is_there(self) -> bool:
        """Whether this repository is at its place, and not another one that was made there since.

        Raises:
            StorageDeniedError, StorageUnavailableError: from the storage.
        """
        try:
            return _config_in(self.storage, stored_config(self.storage), self.sealer()).id == self.id
        except (RepositoryNotFoundError, CorruptFileError):
            return False

    def sealer(self) -> Sealer:
        """This thread's sealer."""
        sealer: Sealer | None = getattr(self._local, "sealer", None)
        if sealer is None:
            sealer = self._local.sealer = Sealer(self.key)
        return sealer

    def decoder(self) -> BlobDecoder:
        """This thread's blob decoder."""
        decoder: BlobDecoder | None = getattr(self._local, "decoder", None)
        if decoder is None:
            decoder = self._local.decoder = BlobDecoder(self.key)
        return decoder

    def load_file(self, folder: str, file_id: bytes, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> bytes:
        """The JSON of an index, snapshot or lock file. limit_bytes: as stored, and again when expanded.

        Raises:
            StoredFileMissingError: there is none of that id.
            CorruptFileError: too large, not what its name says, or not authentic; the message names the file.
        """
        return looked_at_again(self.storage, lambda: self._load_file(folder, file_id, limit_bytes))

    def _load_file(self, folder: str, file_id: bytes, limit_bytes: int) -> bytes:
        name = file_name(folder, file_id)
        stored = self.storage.get(name, limit_bytes=limit_bytes)
        if sha256(stored) != file_id:
            raise CorruptFileError(f"{name}: the content is not what the name says", hint=DAMAGED_HINT)
        try:
            return decode_file(self.sealer(), stored, limit_bytes=limit_bytes)
        except CorruptFileError as error:
            raise CorruptFileError(f"{name}: {error.message}", hint=DAMAGED_HINT) from error

    def is_bad_sector(self, error: StorageUnavailableError) -> bool:
        """Whether the disk cannot read this one file, while it reads others: waiting would not help.

        Raises:
            StorageUnavailableError: it reads no others either.
        """
        if not error.medium_failed:
            return False
        self.storage.get(CONFIG, limit_bytes=_CONFIG_LIMIT_BYTES)
        return True

    def save_file(self, folder: str, json: bytes) -> bytes:
        """Seal JSON, store it under its id; the id."""
        return self.save_sealed_file(folder, encode_file(self.sealer(), json, version=self.version))

    def save_sealed_file(self, folder: str, sealed: bytes) -> bytes:
        """Store bytes that are sealed already, under their id; the id."""
        file_id = sha256(sealed)
        self.storage.put(file_name(folder, file_id), sealed)
        return file_id


def stored_config(storage: Storage) -> bytes:
    """The config file as it is stored now; what it says is not looked at.

    Raises:
        RepositoryNotFoundError: there is none.
        StorageDeniedError, StorageUnavailableError: from the storage.
    """
    try:
        return storage.get(CONFIG, limit_bytes=_CONFIG_LIMIT_BYTES)
    except StoredFileMissingError as error:
        raise RepositoryNotFoundError(
            f"{storage.location}: there is no repository (no file `config`)",
            hint="Look for a typing error, or create one there with `holdfast init`.",
        ) from error


def _config_in(storage: Storage, stored: bytes, sealer: Sealer) -> RepositoryConfig:
    looked = iter((stored,))
    return looked_at_again(
        storage, lambda: decode_config(next(looked, None) or stored_config(storage), sealer)
    )


def _refuse_existing(storage: Storage) -> None:
    if storage.size_or_none(CONFIG) is not None:
        raise _exists(storage)
    for folder in (SNAPSHOTS, INDEX, DATA):
        if next(list_ids(storage, folder), None) is not None:
            raise RepositoryExistsError(
                f"{storage.location}: holds parts of a repository, but no `config`",
                hint="Restore `config` from a copy, or create the repository in another place.",
            )


def _open_any_key(storage: Storage, password: bytes) -> tuple[MasterKey, KeyId] | None:
    """The key that an interrupted `init` has left, if there is any.

    Raises:
        RepositoryExistsError: there are key files, but this password opens none.
    """
    candidates = keys_to_try(storage, [])
    for key_id, key_file in candidates:
        try:
            return open_key(key_file, password), key_id
        except (WrongPasswordError, CorruptFileError):
            continue
    if next(list_ids(storage, KEYS), None) is not None:
        raise RepositoryExistsError(
            f"{storage.location}: holds keys from a creation that was interrupted, with another password",
            hint=f"Use that password, or remove the folder `{KEYS}` there and repeat the command.",
        )
    return None


def _withdraw_key(storage: Storage, key: MasterKey, key_id: KeyId) -> None:
    """Remove the key file of an `init` that came second, if it is not the one that opens the winner's config."""
    stored = storage.get(CONFIG, limit_bytes=_CONFIG_LIMIT_BYTES)
    try:
        decode_config(stored, Sealer(key))
    except CorruptFileError:
        storage.delete(file_name(KEYS, key_id))


def _exists(storage: Storage) -> RepositoryExistsError:
    return RepositoryExistsError(
        f"{storage.location}: there is a repository already",
        hint="Use it as it is, or create the new one in another place.",
    )

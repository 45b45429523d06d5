"""An open repository."""

from typing import Self

from holdfast.crypto.kdf import ScryptParameters
from holdfast.crypto.sealing import MasterKey, Sealer
from holdfast.format.config import RepositoryConfig
from holdfast.format.pack import BlobDecoder
from holdfast.ids import KeyId
from holdfast.storage.contract import Storage


class Repository:
    storage: Storage
    config: RepositoryConfig
    key: MasterKey
    key_id: KeyId
    chunker_seed: int

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
    ) -> Self:
        raise NotImplementedError

    @classmethod
    def open(cls, storage: Storage, password: bytes) -> Self:
        raise NotImplementedError

    @property
    def id(self) -> str:
        raise NotImplementedError

    @property
    def version(self) -> int:
        raise NotImplementedError

    def sealer(self) -> Sealer:
        raise NotImplementedError

    def decoder(self) -> BlobDecoder:
        raise NotImplementedError

    def load_file(self, folder: str, file_id: bytes, *, limit_bytes: int) -> bytes:
        """The JSON of an index, snapshot or lock file: name checked, authenticated, bounded."""
        raise NotImplementedError

    def save_file(self, folder: str, json: bytes) -> bytes:
        """Seal JSON and store it under its id."""
        raise NotImplementedError

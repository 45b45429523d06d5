"""The repository's keys: list, add, remove, change the password."""

from dataclasses import dataclass

from holdfast.crypto.kdf import ScryptParameters
from holdfast.ids import KeyId
from holdfast.repository.repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    id: KeyId
    created_ns: int
    username: str
    hostname: str
    current: bool


def list_keys(repository: Repository) -> list[StoredKey]:
    raise NotImplementedError


def add_key(
    repository: Repository,
    password: bytes,
    *,
    kdf: ScryptParameters | None = None,
    host: str = "",
    user: str = "",
) -> KeyId:
    raise NotImplementedError


def remove_key(repository: Repository, prefix: str) -> KeyId:
    raise NotImplementedError


def change_password(
    repository: Repository, password: bytes, *, kdf: ScryptParameters | None = None
) -> KeyId:
    raise NotImplementedError

"""The passwords of repositories are found and their keys derived once for all workers of a command.

A key goes into the memory that workers share (holdfast/repository/shared_keys.py); the password is told to them, so
that a command that prints it runs once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from holdfast.repository.repository import Repository, stored_config
from holdfast.repository.shared_keys import SharedKeys
from holdfast.repository.sharing import open_sharing
from holdfast.storage.contract import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How a command opens a repository. Both are called in a thread, and may block."""

    password: Callable[[], bytes]
    storage: Callable[[], Storage]


Openings = Mapping[str, Opening]
"""By location."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocked:
    """Repositories whose keys lie in shared memory, and their passwords, by location."""

    keys: SharedKeys
    passwords: Mapping[str, bytes] = field(repr=False)
    openings: Openings

    def open(self, location: str) -> Repository:
        """Open one of them with the key that was derived, or derive it."""
        storage = self.openings[location].storage()
        return open_sharing(storage, self.passwords[location], stored_config(storage), self.keys)


def read_passwords(openings: Openings) -> dict[str, bytes]:
    """The passwords of these repositories, by location. Blocks.

    Raises:
        PasswordMissingError: one has none.
    """
    return {location: opening.password() for location, opening in openings.items()}


def derive_keys(openings: Openings, passwords: Mapping[str, bytes], keys: int) -> Unlocked:
    """Derive the keys of these repositories; half a second of a core for each. Blocks. keys: the shared memory.

    Raises:
        WrongPasswordError, RepositoryNotFoundError and the like: a repository cannot be opened.
    """
    unlocked = Unlocked(keys=SharedKeys(keys), passwords=passwords, openings=openings)
    for location in passwords:
        unlocked.open(location)
    return unlocked

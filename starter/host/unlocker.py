"""Finds the password of a repository and derives its key, for the workers of a command, while the command loads.

The key goes into the memory that workers share (holdfast/repository/shared_keys.py); the password is told to them, so
that a command that prints it runs once. Deriving takes half a second of one core: a process of its own does it beside
one that cannot have threads because it is to fork workers. What goes wrong there is found again here, to be told.
"""

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from functools import partial

from holdfast.errors import EXIT_COMPLETE
from holdfast.repository.shared_keys import SharedKeys
from holdfast.repository.sharing import config_hash, open_sharing
from holdfast.storage.locations import open_storage
from starter.host.children import Child
from starter.host.forks import fork_apart
from starter.host.processes import child_environment

Openings = Mapping[str, Callable[[], bytes]]
"""How to read the passwords of repositories, by location."""


class Unlocking:
    """A process that unlocks repositories. Made where there is one thread; asked in an event loop."""

    def __init__(self, openings: Openings, keys: int, environ: Mapping[str, str]) -> None:
        """keys: the descriptor of the shared memory.

        Raises:
            OSError: no process can be had.
        """
        self._openings, self._keys = openings, keys
        self._told, telling = os.pipe()
        try:
            self._pid = fork_apart(
                partial(_unlock_apart, openings, keys, telling),
                keep={keys, telling},
                stderr=None,
                environment=child_environment(environ),
            )
        except BaseException:
            os.close(self._told)
            raise
        finally:
            os.close(telling)

    async def passwords(self) -> dict[str, bytes]:
        """The passwords, as soon as they are there. To be called once, before `done`.

        Raises:
            HoldfastError: as `unlock`.
        """
        self._process = Child(self._pid)
        told = await asyncio.to_thread(_read, self._told)
        return told or await unlock(self._openings, self._keys)

    async def done(self) -> None:
        """Wait until the keys are there.

        Raises:
            HoldfastError: as `unlock`.
        """
        if await self._process.wait() != EXIT_COMPLETE:
            await unlock(self._openings, self._keys)

    def abandon(self) -> None:
        """Nobody asks for it any more."""
        os.close(self._told)


async def unlock(openings: Openings, keys: int) -> dict[str, bytes]:
    """Do it in a thread. The passwords, by location.

    Raises:
        PasswordMissingError, WrongPasswordError, RepositoryNotFoundError and the like: a repository cannot be opened.
    """
    return await asyncio.to_thread(_unlock, openings, SharedKeys(keys))


def _unlock(openings: Openings, keys: SharedKeys) -> dict[str, bytes]:
    passwords = {location: password() for location, password in openings.items()}
    _derive(passwords, keys)
    return passwords


def _unlock_apart(openings: Openings, keys: int, telling: int) -> int:
    passwords = {location: password() for location, password in openings.items()}
    with open(telling, "wb") as pipe:
        pipe.write(
            json.dumps({location: password.hex() for location, password in passwords.items()}).encode()
        )
    _derive(passwords, SharedKeys(keys))
    return EXIT_COMPLETE


def _derive(passwords: Mapping[str, bytes], keys: SharedKeys) -> None:
    for location, password in passwords.items():
        storage = open_storage(location)
        open_sharing(storage, password, config_hash(storage), keys)


def _read(descriptor: int) -> dict[str, bytes]:
    """What `_unlock_apart` has written; nothing when it could not."""
    with open(descriptor, "rb") as pipe:
        told = pipe.read()
    return {location: bytes.fromhex(digits) for location, digits in json.loads(told or b"{}").items()}

"""The exclusive lock is held for a block, where what others may rely on is removed.

It is a lease (locking.py) that waits for the others to go, and that is looked for before each removal.
"""

import time
from collections.abc import Callable
from typing import Final, Self

from holdfast.errors import RepositoryLockedError
from holdfast.repository.locking import LockLease
from holdfast.repository.repository import Repository

WAIT_FOR_OTHERS_S: Final = 15.0
"""How long what needs the exclusive lock waits: longer than locks of workers linger, shorter than anybody's backup."""
_WAIT_STEP_S: Final = 0.5
"""Between two looks: nothing tells when a lock goes, and each look is a request or two."""


class ExclusiveLock:
    """The exclusive lock, held for a block. Nobody else uses the repository inside; `check` before each removal.

    wait_s: for others to go; locks of workers linger for LINGER_S after their last use. on_wait: called between two
    looks; what it raises ends the wait.

    Raises:
        RepositoryLockedError: another client uses the repository, and did not go in time.
    """

    def __init__(
        self, repository: Repository, *, wait_s: float = 0.0, on_wait: Callable[[], None] = lambda: None
    ) -> None:
        self._lease = LockLease(repository, linger_s=0.0, exclusive=True)
        self._wait_s = wait_s
        self._on_wait = on_wait
        self._generation = 0

    def __enter__(self) -> Self:
        give_up_at = time.monotonic() + self._wait_s
        while True:
            try:
                self._generation = self._lease.acquire()
            except RepositoryLockedError:
                if time.monotonic() >= give_up_at:
                    raise
                time.sleep(_WAIT_STEP_S)
                self._on_wait()
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._lease.close()

    def check(self) -> None:
        """Raises LockLostError when the lock could not be kept; asks the storage, because what follows removes."""
        self._lease.confirm(self._generation)

    def check_clock(self) -> None:
        """Raises LockLostError when the lock could not be refreshed in time. Asks nobody; between two of `check`."""
        self._lease.check(self._generation)

"""Locks held by this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from holdfast.repository.repository import Repository


class LockLease:
    """The shared lock of one process, counted; `release` never blocks."""

    generation: int
    """Grows by one each time that the lock is taken anew; what was read under an older one is not to be believed."""

    def __init__(self, repository: Repository) -> None:
        raise NotImplementedError

    def acquire(self) -> None:
        raise NotImplementedError

    def release(self) -> None:
        raise NotImplementedError

    @contextmanager
    def hold(self) -> Iterator[None]:
        raise NotImplementedError
        yield

    def check(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class ExclusiveLock:
    def __init__(self, repository: Repository) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        raise NotImplementedError

    def __exit__(self, *_: object) -> None:
        raise NotImplementedError

    def check(self) -> None:
        raise NotImplementedError

"""Opens a repository in this process, for commands that need no workflow."""

from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.storage.locations import open_storage
from starter.invocation import Invocation
from starter.orders import check_repository


def open_repository(invocation: Invocation) -> Repository:
    """The repository that is meant, opened with its password.

    Raises:
        RepositoryNotFoundError, WrongPasswordError, PasswordMissingError, UnsupportedRepositoryError, UsageError.
    """
    profile = invocation.repository()
    check_repository(profile)  # before anybody is asked for a password
    return Repository.open(open_storage(profile.location), invocation.password(profile))


@contextmanager
def repository_session(invocation: Invocation) -> Iterator[RepositorySession]:
    """The same as a session, whose lock is given back at the end."""
    session = RepositorySession(open_repository(invocation))
    try:
        yield session
    finally:
        session.close()

"""Opens a repository in this process, for commands that need no workflow."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from holdfast.control.repositories import check_repository
from holdfast.repository.caching import join_cache
from holdfast.repository.companion import join_companion
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.service.settings.credentials import open_place, source_of
from holdfast.service.settings.model import RepositoryProfile
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.output import warn
from holdfast.storage.contract import Storage
from holdfast.storage.layers.read_only import ReadOnly
from holdfast.storage.locations import is_read_only, open_storage


def reading(repository: RepositoryProfile, *, no_lock: bool) -> RepositoryProfile:
    """The repository for a command that only reads it: locked, unless that is not wanted or cannot be had.

    Raises:
        As `check_repository`.
    """
    check_repository(repository)
    if no_lock:
        return replace(repository, no_lock=True)
    storage = open_storage(repository.location)
    if is_read_only(storage):
        warn(f"{storage.location} is read-only: nothing is locked there")
    return repository


def open_repository(invocation: Invocation, fallback: str = "") -> Repository:
    """The repository that is meant, opened with its password. fallback: as of `open_for_reading`.

    Raises:
        RepositoryNotFoundError, WrongPasswordError, PasswordMissingError, UnsupportedRepositoryError, UsageError.
    """
    return open_profile(invocation, invocation.repository(fallback))


def open_profile(invocation: Invocation, profile: RepositoryProfile) -> Repository:
    """The same of a repository that is known."""
    check_repository(profile)  # before anybody is asked for a password
    return _opened(
        invocation, profile, open_place(profile, invocation.environ, invocation.settings.state_dir)
    )


def open_for_reading(invocation: Invocation, *, no_lock: bool, fallback: str = "") -> Repository:
    """The same for a command that only reads it. Without a lock where that is wanted or the medium is read-only: then
    the repository's storage refuses to be written. fallback: the profile of a source that was named."""
    profile = invocation.repository(fallback)
    storage = open_place(reading(profile, no_lock=no_lock), invocation.environ, invocation.settings.state_dir)
    if no_lock or is_read_only(storage):
        storage = ReadOnly(storage)
    return _opened(invocation, profile, storage)


@contextmanager
def repository_session(repository: Repository) -> Iterator[RepositorySession]:
    """A session of it, whose lock is given back at the end."""
    session = RepositorySession(repository, locked=not isinstance(repository.storage, ReadOnly))
    try:
        yield session
    finally:
        session.close()


def _opened(invocation: Invocation, profile: RepositoryProfile, storage: Storage) -> Repository:
    repository = Repository.open(storage, invocation.password(profile))
    join_cache(repository, invocation.settings.cache.cache())
    credentials = source_of(profile.credentials, invocation.environ)
    settings = invocation.settings
    own_server = settings.server.address is None
    join_companion(repository, profile.companion, settings.state_dir, credentials, own_server=own_server)
    return repository

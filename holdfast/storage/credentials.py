"""Credentials of a storage at a distance: under the names of restic's environment variables, and good for a while.

Whoever opens a storage hands over a source; the storage asks it at its first request, and again when the credentials
are no longer good or were refused. So a run of many hours uses what a file, a command or a role says by then. The
engine reads no environment: a command hands over its own, a worker what the profile of its repository names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a source said. good_until_s: when it wants to be asked again, in seconds since 1970; None for never."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    good_until_s: float | None = None


CredentialSource: TypeAlias = Callable[[], Credentials]
"""Raises StorageDeniedError or StorageUnavailableError when the credentials cannot be had. May block for a while."""


def no_credentials() -> Credentials:
    """The source of who has none: what the instance or the pod may do is all."""
    return Credentials()


def fixed(values: Mapping[str, str]) -> CredentialSource:
    """The source of credentials that do not change while the process lives."""
    credentials = Credentials(values=dict(values))
    return lambda: credentials

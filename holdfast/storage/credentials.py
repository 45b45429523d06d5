"""Credentials of a storage at a distance: under the names of restic's environment variables, and good for a while.

What opens a storage hands over a source; the storage asks it at its first request, and again when the credentials
are no longer good or were refused. So a run of many hours uses what a file, a command or a role says by then. The
engine reads no environment: a command hands over its own, a worker what the profile of its repository names.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from holdfast.errors import HoldfastError, StorageUnavailableError

NAMES: Final = frozenset(
    (
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"),
        *("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"),
        *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        *("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        *("AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME"),
        *("AZURE_ACCOUNT_NAME", "AZURE_ACCOUNT_KEY", "AZURE_ACCOUNT_SAS", "AZURE_ENDPOINT_SUFFIX"),
        *("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST"),
        *("AZURE_FEDERATED_TOKEN_FILE", "AZURE_FORCE_CLI_CREDENTIAL", "AZURE_STORAGE_ENDPOINT"),
        *(
            "GOOGLE_PROJECT_ID",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_ACCESS_TOKEN",
            "STORAGE_EMULATOR_HOST",
        ),
        *("RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD", "RESTIC_CACERT"),
    )
)
"""All that the places below this folder ask for; most are restic's, the others those of each store's own tools."""


_OF_PROGRAMS: Final = ("HOME", "PATH", "SSH_AUTH_SOCK")
"""What rclone and ssh find their files by; never with a prefix."""
_RCLONE: Final = "RCLONE_"
_TRY_AGAIN_S: Final = 30.0
_LOG: Final = logging.getLogger(__name__)


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


def is_name(name: str) -> bool:
    """Whether some storage asks for a variable of this name."""
    return name in NAMES or name.startswith(_RCLONE)


def picked(environ: Mapping[str, str], prefix: str = "") -> dict[str, str]:
    """What of an environment is for storages, without the prefix that the variables have there."""
    found = {name: environ.get(prefix + name, "") for name in NAMES}
    found.update((name, environ.get(name, "")) for name in _OF_PROGRAMS)
    begin = len(prefix)
    found.update(
        (name[begin:], value) for name, value in environ.items() if name.startswith(prefix + _RCLONE)
    )
    return {name: value for name, value in found.items() if value}


class HeldCredentials:
    """What one storage has of its source. Thread-safe."""

    def __init__(self, source: CredentialSource, *, now: Callable[[], float] = time.time) -> None:
        self._source = source
        self._now = now
        self._held: Credentials | None = None
        self._lock = threading.Lock()

    def current(self) -> Mapping[str, str]:
        """The values, asked for when there are none yet, and again when it is time. What is held serves on when that
        fails: it may be good for minutes yet, and if it is not, the store says so."""
        with self._lock:
            held = self._held
            if held is None:
                held = self._held = self._source()
            elif held.good_until_s is not None and self._now() >= held.good_until_s:
                try:
                    held = self._held = self._source()
                except HoldfastError as error:
                    _LOG.warning("credentials cannot be renewed: %s", error.message)
                    held = self._held = replace(held, good_until_s=self._now() + _TRY_AGAIN_S)
            return held.values

    def renew(self) -> bool:
        """Ask again, because those in use were refused; whether there are others now.

        Raises:
            StorageUnavailableError: the source, which has had some before, fails.
        """
        with self._lock:
            before = self._held
            try:
                self._held = self._source()
            except HoldfastError as error:
                raise StorageUnavailableError(
                    f"credentials were refused, and there are no newer ones: {error.message}", hint=error.hint
                ) from None
            return before is None or before.values != self._held.values

    def forget(self) -> None:
        """Ask again at the next use."""
        with self._lock:
            self._held = None

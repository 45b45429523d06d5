"""The clients of one place: one for each kind of limit, made at first use, and new ones when credentials change.

Limits are on progress (docs/adr/0051-object-stores.md). A client that reads is given up when nothing came for a
minute, however long the whole takes. One that sends cannot see what has left, so its limit grows with the size; and the
kernel ends a connection on which nothing is acknowledged for half a minute.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from holdfast.errors import UsageError
from holdfast.storage.credentials import CredentialSource, HeldCredentials

if TYPE_CHECKING:  # obstore's types exist for checkers only
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_SILENCE: Final = timedelta(seconds=60)
_LONG_SILENCE: Final = timedelta(minutes=5)
"""For what lets a server work before it answers: a page of a listing, the removal of a thousand files."""
_WHOLE: Final = timedelta(hours=12)
_CONNECT: Final = timedelta(seconds=10)
_SLOWEST_BYTES_S: Final = 32 * 1024
_SMALL_BYTES: Final = 1024 * 1024
"""So much is sent within the limit of a small request."""
_READING: Final = -1
_LISTING: Final = -2
_REMOVING: Final = -3

_process_with_threads: int | None = None
"""The process in which obstore has begun its threads. They are not there in its children, who would wait for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a client is for. many: it removes many files by one request."""

    limits: "ClientConfig"
    retries: "RetryConfig"
    many: bool = False


class Clients:
    """make: a client of the place, from the values of credentials and its options."""

    def __init__(
        self,
        make: "Callable[[Mapping[str, str], Options], ObjectStore]",
        source: CredentialSource,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._make = make
        self._credentials = HeldCredentials(source, now=now)
        self._values: Mapping[str, str] = {}
        self._clients: dict[int, ObjectStore] = {}
        self._lock = threading.Lock()

    def reading(self) -> "ObjectStore":
        """For reading, and for all small requests."""
        return self._client(_READING)

    def listing(self) -> "ObjectStore":
        """For listings; it tries each page again by itself, because nobody else can."""
        return self._client(_LISTING)

    def sending(self, size_bytes: int) -> "ObjectStore":
        """For sending so much at once."""
        return self._client(size_bytes.bit_length() if size_bytes > _SMALL_BYTES else _READING)

    def removing(self) -> "ObjectStore":
        """For removing many files by one request."""
        return self._client(_REMOVING)

    def renew(self) -> bool:
        """Ask for credentials, because those in use were refused; whether there are others now.

        Raises:
            StorageUnavailableError: the source, which has had some before, fails.
        """
        return self._credentials.renew()

    def close(self) -> None:
        """Let go of all connections."""
        self._credentials.forget()
        with self._lock:
            self._clients = {}

    def _client(self, kind: int) -> "ObjectStore":
        """Those of former credentials are dropped; a request that is under way keeps its own."""
        _begin()
        values = self._credentials.current()
        with self._lock:
            if values != self._values:
                self._values, self._clients = values, {}
            client = self._clients.get(kind)
            if client is None:
                client = self._clients[kind] = self._make(values, _options(kind))
            return client


def _options(kind: int) -> Options:
    return Options(limits=_limits(kind), retries=_retries(kind), many=kind == _REMOVING)


def _limits(kind: int) -> "ClientConfig":
    limits: ClientConfig = {"connect_timeout": _CONNECT, "user_agent": "holdfast"}
    if kind == _READING:
        limits["read_timeout"], limits["timeout"] = _SILENCE, _WHOLE
    elif kind in {_LISTING, _REMOVING}:
        limits["read_timeout"], limits["timeout"] = _LONG_SILENCE, _WHOLE
    else:
        limits["timeout"] = _LONG_SILENCE + timedelta(seconds=(1 << kind) / _SLOWEST_BYTES_S)
    return limits


def _retries(kind: int) -> "RetryConfig":
    if kind != _LISTING:
        return {"max_retries": 0}
    backoff = {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=5), "base": 3}
    return {"max_retries": 3, "retry_timeout": timedelta(minutes=2), "backoff": backoff}  # type: ignore[typeddict-item]  # mypy does not see through the name


def _begin() -> None:
    """Note that this process has obstore's threads from now on.

    Raises:
        UsageError: its parent has had them before: a fault of this program, which would show as a hang.
    """
    global _process_with_threads  # noqa: PLW0603 - so are obstore's threads: one set for a process
    if _process_with_threads is None:
        _process_with_threads = os.getpid()
    elif _process_with_threads != os.getpid():
        raise UsageError(
            "this process was forked after a storage at a distance had been used; that is not possible"
        )

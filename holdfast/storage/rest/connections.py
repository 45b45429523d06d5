"""Connections to a REST server: HTTP over TCP, TLS or a socket of this host, by urllib3.

Limits are on progress: each read, and each piece that is sent, may take so long; the whole takes as long as it likes.
"""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from holdfast.errors import StorageDeniedError
from holdfast.storage.answers import NOT_TRUSTED, Answer
from holdfast.storage.rest.place import RestPlace

_SEND_S: Final = 20.0
_READ_S: Final = 60.0
_LIMITS: Final = urllib3.Timeout(connect=_SEND_S, read=_READ_S)
"""urllib3 sends under the limit for connecting."""
_PIECE_BYTES: Final = 64 * 1024
FAILURES: Final = (HTTPError, OSError)
"""What a request and the reading of its answer raise."""
_REASONS: Final = (
    (SSLError, NOT_TRUSTED),
    (NameResolutionError, "its name cannot be resolved"),
    (NewConnectionError, "nothing answers there"),
    ((ConnectTimeoutError, ReadTimeoutError, TimeoutError), "it did not answer in time"),
)


class Connections:
    """Those to one server."""

    def __init__(self, place: RestPlace, values: Mapping[str, str], at_once: int) -> None:
        self._headers = {"Accept": "application/vnd.x.restic.rest.v2", "User-Agent": "holdfast"}
        user = place.user or values.get("RESTIC_REST_USERNAME", "")
        password = values.get("RESTIC_REST_PASSWORD", "")
        if user or password:
            self._headers |= urllib3.make_headers(basic_auth=f"{user}:{password}")
        authority = values.get("RESTIC_CACERT")
        if authority is not None and not os.access(authority, os.R_OK):
            raise StorageDeniedError(f"{authority}: it cannot be read", hint="RESTIC_CACERT names it.")
        self._pool = _pool(place, at_once, authority)

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Sequence[memoryview] | None = None,
        span: tuple[int, int] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request; the answer, of which no body was read yet. span: the first byte and the one after the last.

        Raises:
            FAILURES: no answer came.
        """
        headers = dict(self._headers)
        if span is not None:
            headers["Range"] = f"bytes={span[0]}-{span[1] - 1}"
        pieces: Iterator[memoryview] | None = None
        if body is not None:
            headers["Content-Length"] = str(sum(part.nbytes for part in body))
            headers["Content-Type"] = "application/octet-stream"
            pieces = _pieces(body)
        return self._pool.urlopen(
            method,
            path,
            body=pieces,  # type: ignore[arg-type]  # http.client sends any buffer
            headers=headers,
            retries=False,
            redirect=False,
            timeout=_LIMITS,
            preload_content=False,
            decode_content=False,
        )

    def close(self) -> None:
        """End those that are idle."""
        self._pool.close()


def answer_to(error: Exception) -> Answer:
    """Why no answer came, or none that was whole."""
    reason = next((words for kind, words in _REASONS if isinstance(error, kind)), "the connection broke")
    return Answer(reason=reason)


def _pieces(body: Sequence[memoryview]) -> Iterator[memoryview]:
    for part in body:
        for start in range(0, part.nbytes, _PIECE_BYTES):
            yield part[start : start + _PIECE_BYTES]


def _pool(place: RestPlace, at_once: int, authority: str | None) -> urllib3.HTTPConnectionPool:
    if place.socket:
        return _SocketPool(place.socket, at_once)
    if place.scheme == "https":
        return urllib3.HTTPSConnectionPool(place.host, place.port, maxsize=at_once, ca_certs=authority)
    return urllib3.HTTPConnectionPool(place.host, place.port, maxsize=at_once)


class _SocketConnection(HTTPConnection):
    """HTTP over a socket of this host."""

    path = ""

    def _new_conn(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_SEND_S)
        try:
            connection.connect(self.path)
        except OSError as error:
            connection.close()
            raise NewConnectionError(self, str(error)) from error
        return connection


class _SocketPool(urllib3.HTTPConnectionPool):
    def __init__(self, path: str, at_once: int) -> None:
        super().__init__("localhost", maxsize=at_once)
        self._path = path

    def _new_conn(self) -> _SocketConnection:
        connection = _SocketConnection("localhost")
        connection.path = self._path
        return connection

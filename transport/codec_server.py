"""The codec server: opens payloads for Temporal's Web UI and command line, which have no keys themselves.

It speaks Temporal's protocol for remote codecs: POST /decode and /encode with `{"payloads": […]}`. Whoever can reach
it reads in clear text what the server stores sealed; so it listens on the loopback interface unless told otherwise,
answers scripts of the named web pages only (a page of any other origin is refused, not merely kept from reading the
answer, and with it what a rebound host name would serve), and asks for a token where one is set.
"""

import hmac
import http.server
import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from temporalio.api.common.v1 import Payloads

from holdfast.errors import HoldfastError
from transport.codec import EncryptionCodec

_MAX_BODY_BYTES: Final = 64 << 20
"""More than an answer of the server with a page of history (4 MB in gRPC) becomes as JSON."""
_SILENCE_S: Final = 30.0
_PREFLIGHT_AGE_S: Final = 600
_ALLOWED_HEADERS: Final = "Authorization, Content-Type, X-Namespace"
_LOG: Final = logging.getLogger("holdfast.codec_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may ask. origins: of web pages, like "http://localhost:8233". token: as a bearer; None asks for none."""

    origins: frozenset[str]
    token: str | None = field(default=None, repr=False)


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class CodecServer(http.server.ThreadingHTTPServer):
    """Listens from its creation on; `serve_forever` answers."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], codec: EncryptionCodec, access: Access) -> None:
        super().__init__(address, _Handler)
        self.codec = codec
        self.access = access

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """A connection that breaks is no event; the request's text is not for the log."""
        _LOG.debug("a connection from %s broke", client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "holdfast-codec-server"
    sys_version = ""
    timeout = _SILENCE_S
    server: CodecServer

    def do_GET(self) -> None:
        """The health check."""
        if self.path == "/health":
            self._answer(HTTPStatus.OK, b"ok\n", "text/plain")
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"", "text/plain")

    def do_OPTIONS(self) -> None:
        """A browser asks whether a page may send what it is about to send."""
        try:
            self._check_origin()
        except _RefusedError as refusal:
            self._refuse(refusal)
            return
        self.send_response(HTTPStatus.NO_CONTENT)
        self._cors_headers()
        self.send_header("Access-Control-Allow-Methods", "POST")
        self.send_header("Access-Control-Allow-Headers", _ALLOWED_HEADERS)
        self.send_header("Access-Control-Max-Age", str(_PREFLIGHT_AGE_S))
        self.end_headers()

    def do_POST(self) -> None:
        """Decode or encode."""
        try:
            # The body is read first, so that the connection can be used again after a refusal.
            body = self._body()
            self._check_origin()
            self._check_token()
            answer = self._converted(body)
        except _RefusedError as refusal:
            self._refuse(refusal)
            return
        self._answer(HTTPStatus.OK, answer, "application/json")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Into the program's log, without the client's headers."""
        _LOG.debug(format, *args)

    def _check_origin(self) -> None:
        origin = self.headers.get("Origin")
        if origin is not None and origin not in self.server.access.origins:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "this origin is not allowed; name it with --origin")

    def _check_token(self) -> None:
        token = self.server.access.token
        if token is None:
            return
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode("latin-1", "replace"), f"Bearer {token}".encode()):
            raise _RefusedError(HTTPStatus.UNAUTHORIZED, "the token is missing, or another one")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            self.close_connection = True
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "a Content-Length is expected")
        if int(length) > _MAX_BODY_BYTES:
            self.close_connection = True
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "this is too much at once")
        return self.rfile.read(int(length))

    def _converted(self, body: bytes) -> bytes:
        codec = self.server.codec
        convert = {"/decode": codec.open, "/encode": codec.seal}.get(self.path)
        if convert is None:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there are /decode and /encode")
        namespace = self.headers.get("X-Namespace", codec.namespace)
        if namespace != codec.namespace:
            raise _RefusedError(
                HTTPStatus.BAD_REQUEST, f"the keys here are those of the namespace {codec.namespace!r}"
            )
        try:
            payloads = Parse(body, Payloads())
        except (ParseError, UnicodeDecodeError, RecursionError):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "payloads as JSON are expected") from None
        try:
            converted = Payloads(payloads=[convert(payload) for payload in payloads.payloads])
        except HoldfastError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, error.message) from error
        return MessageToJson(converted, indent=None).encode()

    def _refuse(self, refusal: _RefusedError) -> None:
        self._answer(refusal.status, f"{refusal}\n".encode(), "text/plain")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self._cors_headers()
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _cors_headers(self) -> None:
        origin = self.headers.get("Origin")
        if origin in self.server.access.origins:
            self.send_header("Access-Control-Allow-Origin", origin)
        self.send_header("Vary", "Origin")

"""The codec server: opens, signs and seals payloads for who has no keys: the Web UI, `temporal`, other languages.

It speaks Temporal's protocol for remote codecs: POST …/decode and …/encode with `{"payloads": […]}`. What stands before
that says what a value is for and where it belongs:

    /start/TYPE/WORKFLOW                     starts a run of this id
    /signal/NAME/WORKFLOW[/RUN]              asks something of it; RUN: of this run and no later one of the id
    /update/NAME/WORKFLOW[/RUN]
    /query/NAME/WORKFLOW
    /update-with-start/NAME/TYPE/WORKFLOW    what starts it, and what is then asked of it
    /result/WORKFLOW[/RUN]                   how a run ended; RUN: this one (the first of its chain)

What is encoded there counts once, for ten minutes, and for nothing else; what is decoded there is checked. /decode
alone opens what is sealed, to be shown; /encode alone does not know what for, and refuses.

Anybody who can reach it reads in clear text what the server stores sealed; so it listens on the loopback interface
unless told otherwise, answers scripts of the named web pages only (a page of any other origin is refused, not merely
kept from reading the answer, and with it what a rebound host name would serve), and asks for a token where one is set.
It encodes for nobody without a token: a client that gets a value signed may do what a command may do.
"""

import hmac
import http.server
import logging
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Final

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from temporalio.api.common.v1 import Payload, Payloads

from holdfast.contracts.warrant import PROMPT_S, QUERY, RESULT, SIGNAL, START, UPDATE, Warrant, purpose
from holdfast.transport.codec import TrustCodec
from holdfast.transport.converter import WARRANT
from holdfast.transport.places import workflow_place
from holdfast.transport.refusals import RefusedError
from holdfast.transport.stamping import fresh_warrant

_MAX_BODY_BYTES: Final = 64 << 20
"""More than an answer of the server with a page of history (4 MB in gRPC) becomes as JSON."""
_SILENCE_S: Final = 30.0
_PREFLIGHT_AGE_S: Final = 600
_ALLOWED_HEADERS: Final = "Authorization, Content-Type, X-Namespace"
_SAYING: Final = "/start/TYPE/WORKFLOW, /signal/NAME/WORKFLOW, /update/NAME/WORKFLOW and the like"
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

    def __init__(self, address: tuple[str, int], codec: TrustCodec, access: Access) -> None:
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
        convert = self._conversion()
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
        except RefusedError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, f"a value is not believed: {error}") from error
        return MessageToJson(converted, indent=None).encode()

    def _conversion(self) -> Callable[[Payload], Payload]:
        """What the path asks for."""
        *what, verb = [urllib.parse.unquote(part) for part in self.path.removeprefix("/").split("/")]
        if verb not in {"decode", "encode"}:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "a path ends with /decode or /encode")
        if verb == "encode" and self.server.access.token is None:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "without a token nothing is signed; give --token-file")
        if not what:
            if verb == "encode":
                raise _RefusedError(HTTPStatus.BAD_REQUEST, f"say what for: {_SAYING}")
            return partial(_shown, self.server.codec)
        purposes, workflow_id, run = _asked(what)
        codec = self.server.codec
        place = workflow_place(codec.namespace, workflow_id)
        if verb == "decode":
            wanted = purposes if RESULT in purposes else ()
            return lambda payload: _checked(codec.protection.open(payload, place), wanted, run)
        if RESULT in purposes:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "a result is only decoded")

        def encode(payload: Payload) -> Payload:
            warrant = fresh_warrant(purposes, lasts_s=PROMPT_S, run=run)
            stamped = Payload(metadata={**payload.metadata, WARRANT: warrant.to_json()}, data=payload.data)
            return codec.protection.close(stamped, place)

        return encode

    def _refuse(self, refusal: _RefusedError) -> None:
        _LOG.info(
            "refused: %s", refusal
        )  # `temporal` asks again for ten seconds, and then says nothing of it
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


def _asked(what: Sequence[str]) -> tuple[tuple[str, ...], str, str]:
    """Purposes, workflow id and run (or nothing) of a path."""
    match what:
        case ["start", workflow, workflow_id]:
            return (purpose(START, workflow),), workflow_id, ""
        case [("signal" | "update") as word, name, workflow_id, *rest] if len(rest) <= 1:
            asked = purpose(SIGNAL if word == "signal" else UPDATE, name)
            return (asked,), workflow_id, rest[0] if rest else ""
        case ["result", workflow_id, *rest] if len(rest) <= 1:
            return (RESULT,), workflow_id, rest[0] if rest else ""
        case ["query", name, workflow_id]:
            return (purpose(QUERY, name),), workflow_id, ""
        case ["update-with-start", name, workflow, workflow_id]:
            return (purpose(START, workflow), purpose(UPDATE, name)), workflow_id, ""
    raise _RefusedError(HTTPStatus.NOT_FOUND, f"there are {_SAYING}")


def _shown(codec: TrustCodec, payload: Payload) -> Payload:
    """A payload to be read by a person: opened if it is sealed."""
    return _bare(codec.protection.open_anywhere(payload))


def _checked(payload: Payload, purposes: Sequence[str], run: str) -> Payload:
    """An answer that is believed. purposes: of which it must be one, if any."""
    warrant = payload.metadata.get(WARRANT)
    if purposes:
        said = Warrant(purposes=()) if warrant is None else Warrant.from_json(warrant)
        if not set(purposes) & set(said.purposes) or (run and said.run != run):
            raise RefusedError("it is no result, or another run's")
    return _bare(payload)


def _bare(payload: Payload) -> Payload:
    """Without what only programs read: `temporal` shows a value as text when nothing else is there."""
    metadata = {name: value for name, value in payload.metadata.items() if not name.startswith("holdfast-")}
    return Payload(metadata=metadata, data=payload.data)

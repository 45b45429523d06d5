"""A proxy between Holdfast and a real HTTP server that does to requests what networks and servers do.

It passes requests on byte for byte, so that signatures stand, and asks a plan about each: what the plan returns happens
to it instead. `requests` counts what came, by method and by the first folder of the name below the prefix.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol, Self
from urllib.parse import parse_qs, urlsplit

from tests.support.seaweed import BUCKET

_HEAD_LIMIT: Final = 1 << 20
_CLOSE: Final = b"\r\nConnection: close"
_NO_BODY: Final = frozenset({204, 304})
_LINGER: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Request:
    """What came. name: the path below the bucket and the prefix, of a listing the folder that it asks for."""

    method: str
    target: str
    name: str

    @property
    def folder(self) -> str:
        """The first part of the name."""
        return self.name.partition("/")[0]


class Happening(Protocol):
    """What becomes of one request."""

    async def happen(self, exchange: "Exchange") -> bool:
        """Do it; whether the connection can go on."""
        ...


@dataclass(slots=True)
class Exchange:
    """One request on its connection: what has come of it, and both ends."""

    head: bytes
    body: bytes
    client: asyncio.StreamWriter
    upstream: int
    request: Request

    async def answer(self) -> tuple[bytes, bytes]:
        """Pass the request on; the head and the whole body of the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            writer.write(_closing(self.head) + self.body)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            body = await _body(reader, head, without=self.request.method == "HEAD")
            return head.replace(_CLOSE, b""), body
        finally:
            writer.close()

    async def send(self, *pieces: bytes) -> None:
        """Give the client these bytes."""
        for piece in pieces:
            self.client.write(piece)
        await self.client.drain()

    def reset(self) -> None:
        """End the connection by RST."""
        sock = self.client.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        self.client.transport.abort()


@dataclass(frozen=True, slots=True)
class Through:
    """Nothing becomes of it, but perhaps a delay, as of a long way."""

    delay_s: float = 0.0

    async def happen(self, exchange: Exchange) -> bool:
        await asyncio.sleep(self.delay_s)
        head, body = await exchange.answer()
        await exchange.send(head, body)
        return True


@dataclass(frozen=True, slots=True)
class Answer:
    """The server says something else, and does nothing."""

    status: int
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    async def happen(self, exchange: Exchange) -> bool:
        body = self.body
        if body is None:
            text = (
                f"<Error><Code>{self.code}</Code><Message>canary-message</Message></Error>"
                if self.code
                else ""
            )
            body = text.encode()
        lines = [f"HTTP/1.1 {self.status} Told", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        await exchange.send(head, b"" if exchange.request.method == "HEAD" else body)
        return True


@dataclass(frozen=True, slots=True)
class Lost:
    """The server does it, and the connection is reset before the answer comes."""

    async def happen(self, exchange: Exchange) -> bool:
        await exchange.answer()
        exchange.reset()
        return False


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset, and the server hears nothing."""

    async def happen(self, exchange: Exchange) -> bool:
        exchange.reset()
        return False


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing comes for so long; then the connection ends without an answer."""

    for_s: float

    async def happen(self, exchange: Exchange) -> bool:
        await asyncio.sleep(self.for_s)
        exchange.reset()
        return False


@dataclass(frozen=True, slots=True)
class Trickle:
    """The body of the answer comes in so many pieces, with a pause before each."""

    pieces: int
    pause_s: float

    async def happen(self, exchange: Exchange) -> bool:
        head, body = await exchange.answer()
        await exchange.send(head)
        step = -(-len(body) // self.pieces)
        for at in range(0, len(body), step):
            await asyncio.sleep(self.pause_s)
            await exchange.send(body[at : at + step])
        return True


@dataclass(frozen=True, slots=True)
class Cut:
    """The body of the answer breaks off in its middle, by an end that looks like any other."""

    async def happen(self, exchange: Exchange) -> bool:
        head, body = await exchange.answer()
        await exchange.send(head, body[: len(body) // 2])
        return False


@dataclass(frozen=True, slots=True)
class Flipped:
    """One bit of a file is another one when it comes. What has no hash, as a listing, comes as it is: only TLS can
    keep that."""

    async def happen(self, exchange: Exchange) -> bool:
        head, body = await exchange.answer()
        await exchange.send(head, body if "list-type" in exchange.request.target else _flipped(body))
        return True


@dataclass(frozen=True, slots=True)
class FlippedOnTheWay:
    """One bit of what is sent is another one when it comes to the server."""

    async def happen(self, exchange: Exchange) -> bool:
        exchange.body = _flipped(exchange.body)
        head, body = await exchange.answer()
        await exchange.send(head, body)
        return True


Plan = Callable[[Request], Happening | None]
"""What is to become of a request; None for nothing. Called from the proxy's thread."""


class Faults:
    """A plan: each happening becomes of the first request that fits, once; `with` fails when one is left over."""

    def __init__(
        self, *happenings: Happening, method: str = "", folder: str = "", each: bool = False, skip: int = 0
    ) -> None:
        self._left = [*happenings]
        self._method = method
        self._folder = folder
        self._each = each
        self._skip = skip
        self.fired = 0

    def __call__(self, request: Request) -> Happening | None:
        if not request.method.startswith(self._method) or not request.name.startswith(self._folder):
            return None
        if self._skip:
            self._skip -= 1
            return None
        if not self._left:
            return None
        self.fired += 1
        return self._left[0] if self._each else self._left.pop(0)


class Storm:
    """A plan: a share of all requests meets one of the happenings, by a seed."""

    def __init__(self, seed: int, share: float, happenings: Sequence[Happening]) -> None:
        self._random = Random(seed)
        self._share = share
        self._happenings = happenings
        self.fired: Counter[str] = Counter()

    def __call__(self, request: Request) -> Happening | None:
        if self._random.random() >= self._share:
            return None
        chosen = self._random.choice(self._happenings)
        self.fired[type(chosen).__name__] += 1
        return chosen


class Proxy:
    """Between its `port` and the server's, until it is closed. prefix: of names, which `Request.name` goes without.
    tls: it is spoken to by TLS."""

    def __init__(
        self, upstream: int, *, prefix: str = "", delay_s: float = 0.0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.plan: Plan | None = None
        self.port = 0
        self._upstream = upstream
        self._prefix = prefix.strip("/")
        self._tls = tls
        self._usual = Through(delay_s)
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def usual(self, *, delay_s: float) -> None:
        """Have requests that meet nothing take so long."""
        self._usual = Through(delay_s)

    def location(self, prefix: str, *, bucket: str = BUCKET) -> str:
        """The place behind it, as restic spells it."""
        return f"s3:http://127.0.0.1:{self.port}/{bucket}/{prefix}"

    def up(self) -> None:
        """Listen; again on the same port after `down`."""
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]

    def down(self) -> None:
        """Refuse connections, and reset those that are there."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()

    @contextlib.contextmanager
    def meeting(self, *happenings: Happening, **which: object) -> Iterator[Faults]:
        """Requests meet these in the block, one after the other; each has to be met."""
        faults = Faults(*happenings, **which)  # type: ignore[arg-type]  # as it takes them
        self.plan = faults
        try:
            yield faults
        finally:
            self.plan = None
        assert faults.fired >= len(happenings), f"{faults.fired} of {happenings} were met"

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=_HEAD_LIMIT, reuse_address=True, ssl=self._tls
        )

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = [*self._connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        except asyncio.CancelledError:  # `down`: for those at the other end, the server is gone
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await _body(reader, head, of_request=True)
        method, target = head.split(b" ", 2)[:2]
        request = Request(method.decode(), target.decode(), self._name(target.decode()))
        self.requests[request.method, request.folder] += 1
        happening = self.plan(request) if self.plan is not None else None
        exchange = Exchange(head, body, writer, self._upstream, request)
        return await (happening or self._usual).happen(exchange)

    def _name(self, target: str) -> str:
        parts = urlsplit(target)
        path = parts.path.strip("/").partition("/")[2]
        asked = parse_qs(parts.query).get("prefix")
        if asked:
            path = asked[0]
        return path.removeprefix(self._prefix).strip("/")


def _closing(head: bytes) -> bytes:
    """The head of a request, for a connection that serves only this one."""
    return head[:-4] + _CLOSE + b"\r\n\r\n"


def _flipped(body: bytes) -> bytes:
    if not body:
        return body
    at = len(body) // 2
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


async def _body(
    reader: asyncio.StreamReader,
    head: bytes,
    *,
    without: bool = False,
    of_request: bool = False,
) -> bytes:
    if without or (not of_request and int(head.split(b" ", 2)[1]) in _NO_BODY):
        return b""
    length = _header(head, b"content-length")
    if length is not None:
        return await reader.readexactly(int(length))
    if (_header(head, b"transfer-encoding") or b"").lower() != b"chunked":
        return b"" if of_request else await reader.read(-1)
    pieces = []
    while True:  # the bytes as they are: the head says that they come in chunks
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        pieces += [line, await reader.readexactly(size + 2)]
        if not size:
            return b"".join(pieces)

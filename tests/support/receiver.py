"""A web server that notes what it is sent: notices as apprise's `json://` posts them, and pings."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.answering import answering


@dataclass(kw_only=True)
class Receiver:
    """What came: paths of pings, and notices as JSON. refusals: how many requests are answered with an error first."""

    port: int = 0
    refusals: int = 0
    pings: list[str] = field(default_factory=list)
    notices: list[dict[str, object]] = field(default_factory=list)

    @property
    def notice_url(self) -> str:
        """As apprise takes it."""
        return f"json://127.0.0.1:{self.port}/notices"

    @property
    def ping_url(self) -> str:
        """As a source has it."""
        return f"http://127.0.0.1:{self.port}/ping"


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """Listen on a port of this host."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            receiver.pings.append(self.path)
            self._answer(refused=self._is_refused())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            refused = self._is_refused()
            if not refused:
                receiver.notices.append(json.loads(body))
            self._answer(refused=refused)

        def _is_refused(self) -> bool:
            refused = receiver.refusals > 0
            receiver.refusals -= refused
            return refused

        def _answer(self, *, refused: bool) -> None:
            """Last of all: the sender may look at what came as soon as it has the answer."""
            self.send_response(503 if refused else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        with answering(server):
            yield receiver

"""A server of Python's library answers in a thread of its own, for as long as the context lasts."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LOOKS_EVERY_S: Final = 0.01
"""The library's half a second, in which a server notices that it is to end, would be most of a short test's time."""


@contextmanager
def answering(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(_LOOKS_EVERY_S,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()

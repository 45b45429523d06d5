"""Processes are forked from one that has loaded everything they need (ADR 0022).

Forking is safe only while there is one thread: nothing here or before it may start Temporal's runtime, an event loop's
executor or a connection. The forked processes share the memory of what was loaded for as long as they do not change it.

A process that only loads calls `fork_workers`: its environment and its arguments are fit for workers. A command calls
`fork_apart`: its descriptors, environment and arguments, which hold secrets and names, are not for its children.
"""

import ctypes
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from holdfast.errors import EXIT_FAILED
from holdfast.starter.host.processes import end_process, end_with

STDERR: Final = 2
_THREADS: Final = "/proc/self/task"
_DESCRIPTORS: Final = "/proc/self/fd"
_TITLE: Final = b"holdfast worker.py"
_ARGUMENTS_AND_ENVIRONMENT: Final = slice(45, 49)
"""arg_start, arg_end, env_start and env_end in /proc/self/stat, counted after the name (proc_pid_stat(5))."""


def is_worker(arguments: Sequence[str]) -> bool:
    """Whether a process with these arguments is a worker: forked by a command, or started as a program."""
    return any(argument.endswith("worker.py") for argument in arguments)


def is_alone() -> bool:
    """Whether this process has one thread, native ones counted."""
    return len(os.listdir(_THREADS)) == 1


def fork_apart(
    work: Callable[[], int], *, keep: Collection[int], stderr: int | None, environment: Mapping[str, str]
) -> int:
    """Fork a process that does `work` and ends with the code that it returns; its process number.

    It has this environment, these descriptors and no others, and SIGKILL ends it when this process ends.
    stderr: None when nobody wants to know what it says.

    Raises:
        RuntimeError: there are other threads.
        OSError: it cannot be forked.
    """
    if not is_alone():
        raise RuntimeError("there are threads already, and they would not live in what is forked")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or what waits there is written twice
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = EXIT_FAILED
    try:
        end_with(parent, signal.SIGKILL)
        _let_go(keep, stderr)
        _forget(environment)
        code = work()
    except BaseException:  # noqa: BLE001 - the caller's frames below this one are not for this process
        traceback.print_exc()
    finally:
        end_process(code)


def fork_workers(configs: Sequence[int], logs: Sequence[int], pids: int) -> int | None:
    """Fork a process for each descriptor of `configs`. Returns that descriptor in it, and None in this process.

    logs: where each of them logs; without any, where this process does. pids: the pipe that tells the parent of them.
    """
    if threading.active_count() != 1:
        raise RuntimeError("there are threads already, and they would not live in what is forked")
    gc.freeze()  # the collector would write into what is shared
    born: list[str] = []
    for place, config in enumerate(configs):
        pid = os.fork()
        if not pid:
            os.setsid()
            if logs:
                os.dup2(logs[place], STDERR)
            for other in {*configs, *logs, pids} - {config}:
                os.close(other)
            return config
        born.append(str(pid))
    os.write(pids, " ".join(born).encode())
    return None


def _let_go(keep: Collection[int], stderr: int | None) -> None:
    """Have nothing behind descriptors that are not to be kept. Not closed: objects that own the numbers live on."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nothing if stderr is None else stderr, STDERR)
    for descriptor in {int(name) for name in os.listdir(_DESCRIPTORS)} - {*keep, STDERR, nothing}:
        os.dup2(nothing, descriptor, inheritable=descriptor < STDERR)


def _forget(environment: Mapping[str, str]) -> None:
    """Have this environment, and let nobody read the former one, or the arguments, in /proc."""
    os.environ.clear()
    os.environ.update(environment)  # the C library has copies of these, and uses the kernel's no more
    with open("/proc/self/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()
    arguments, arguments_end, variables, variables_end = map(int, fields[_ARGUMENTS_AND_ENVIRONMENT])
    ctypes.memset(variables, 0, variables_end - variables)
    ctypes.memset(arguments, 0, arguments_end - arguments)
    ctypes.memmove(arguments, _TITLE, min(len(_TITLE), arguments_end - arguments - 1))

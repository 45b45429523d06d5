"""Our processes take SIGHUP and live: restic sends it to find out whether the holder of a lock lives.

`restic unlock` signals the process whose number stands in a lock of its own host name (internal/repository/lock.go,
`Stale`), and the signal's usual effect is death. In another container of that name, the number may be any process. So
all of ours take it, and go on. A handler does that and not SIG_IGN, which commands, hooks and checks would inherit.

A command at a terminal has still to end when that is gone. The kernel takes the controlling terminal away before it
sends SIGHUP, so a process that had one and has none now was not merely tested. `nohup` stays what it is.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_TERMINAL: Final = "/dev/tty"


def outlive_tests() -> None:
    """Take SIGHUP for a test, for good: a worker has no terminal that could be lost."""
    signal.signal(signal.SIGHUP, _go_on)


@contextmanager
def outliving_tests() -> Iterator[None]:
    """The same for a block, in the main thread; the loss of the terminal ends this process as ever."""
    before = signal.getsignal(signal.SIGHUP)
    if before is not signal.SIG_DFL:
        yield
        return
    had_terminal = _has_terminal()

    def told(number: int, _frame: FrameType | None) -> None:
        if had_terminal and not _has_terminal():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    signal.signal(signal.SIGHUP, told)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _go_on(_number: int, _frame: FrameType | None) -> None:
    """Nothing: only a living process comes here."""


def _has_terminal() -> bool:
    try:
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True

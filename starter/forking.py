"""Forks workers from one process that has loaded everything they need, and leaves them to its parent (ADR 0022).

Forking is safe only while there is one thread: nothing here or before it may start Temporal's runtime, an event loop's
executor or a connection. The forked processes share the memory of what was loaded for as long as they do not change it.
"""

import gc
import os
import threading
from collections.abc import Sequence

STDERR: int = 2


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

"""The worker service as a program: `python worker.py --settings FILE` runs a supervisor with its worker processes.

A supervisor runs `worker.py --config-fd N`, and hands it its configuration through the inherited descriptor N; with
several of them and a --pids-fd, this process only loads the program, forks a worker for each, and ends.
"""

# ruff: noqa: E402

import gc

gc.disable()  # while modules load: they make hundreds of thousands of objects that stay

import argparse
from collections.abc import Sequence

from holdfast.starter.host.processes import end_process


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker process, or the supervisor of several; returns the exit code."""
    parser = argparse.ArgumentParser(prog="worker.py", description="Holdfast's worker service.")
    parser.add_argument("--settings", metavar="FILE", help="the settings file (holdfast.toml)")
    for name in ("--config-fd", "--log-fd"):
        parser.add_argument(name, type=int, action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--pids-fd", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.config_fd:
        from holdfast.starter.host.worker_process import begin  # noqa: PLC0415 - a supervisor has no use for it

        return begin(given.config_fd, given.log_fd, given.pids_fd)
    from holdfast.starter.daemon.foreground import serve  # noqa: PLC0415 - nor a worker for the whole command line

    gc.enable()
    return serve(given.settings)


if __name__ == "__main__":
    end_process(main())

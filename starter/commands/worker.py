"""`holdfast worker` runs workers in the foreground, for a server that runs elsewhere."""

import os

from holdfast.control.requests import base_queue, repository_name
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions


def worker(options: CommonOptions) -> int:
    """Run workers for a server that is there already, until Ctrl-C.

    Profiles of the settings are served. --repo adds a repository that is given by its location, with its password.
    """
    return run(options, up=False)


def run(options: CommonOptions, *, up: bool) -> int:
    """Serve this host's queue, and that of the repository that is named, if it has one of its own.

    Raises:
        HoldfastError: as `run_service` and `Invocation`.
    """
    from holdfast.starter.daemon.foreground import Assignment, run_service  # noqa: PLC0415 (brings Temporal's client)

    invocation = Invocation.of(options)
    queues = [base_queue(invocation.settings, "")]
    passwords: dict[str, bytes] = {}
    if invocation.names_repository():
        repository = invocation.repository()
        queues.append(base_queue(invocation.settings, repository_name(invocation.settings, repository)))
        passwords = invocation.worker_passwords(repository)
    return run_service(
        Assignment(
            settings=invocation.settings,
            up=up,
            environ=os.environ,
            queues=tuple(dict.fromkeys(queues)),
            passwords=passwords,
        )
    )

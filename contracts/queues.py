"""Task queues: which workers a run is handed to.

A profile of the settings is served by every worker of its host, on one queue. A repository given on the
command line ("@token" of a private request file) has a password that only the workers started for it know, so
its runs go to a queue of their own. Beside each queue lies a second one for the activities that move bytes.
"""

from typing import Final

from contracts.common import copy_queue

__all__ = ["QUEUE_PREFIX", "copy_queue", "is_token", "queue_of", "task_queue"]

QUEUE_PREFIX: Final = "holdfast"
_REQUEST_MARK: Final = "@"
_TOKEN_DIGITS: Final = 12


def is_token(name: str) -> bool:
    """Whether `name` is the token of a private request file and not a profile's name."""
    return name.startswith(_REQUEST_MARK)


def task_queue(host: str, repository: str) -> str:
    """The queue of runs on `host` for `repository` (a profile's name, or "@token")."""
    return queue_of(f"{QUEUE_PREFIX}.{host}", repository)


def queue_of(host_queue: str, repository: str) -> str:
    """The same, when the queue of the host is known by its name."""
    if not is_token(repository):
        return host_queue
    return f"{host_queue}.{repository.removeprefix(_REQUEST_MARK)[:_TOKEN_DIGITS]}"

"""Makes what a run is asked with: private request files, ids and queues, from the settings and what is wanted.

What was given by name appears by name; what was given by its place appears as the token of its request file.
"""

import secrets
from typing import Final

import msgspec

from holdfast.contracts.common import RunPolicy
from holdfast.contracts.identity import WHOLE, is_token, queue_of, system_id, task_queue, workflow_id
from holdfast.contracts.verbs import Request, asked_by, repository_of, subject_of
from holdfast.service.settings.model import RepositoryProfile, Settings
from holdfast.service.settings.requests import RepositoryOrder, remove_unused_requests, write_request
from holdfast.terms import RunKind

_UNUSED_S: Final = 90 * 86_400.0


def repository_name(settings: Settings, repository: RepositoryProfile) -> str:
    """The name by which workflows know a repository: the profile's, or the token of a request file.

    Raises:
        StorageDeniedError, StorageFullError: the state directory cannot be written.
    """
    if settings.repositories.get(repository.name) == repository:
        return repository.name
    order = RepositoryOrder(
        location=repository.location,
        companion=repository.companion,
        credentials=repository.credentials,
        limits=repository.limits,
        compression=repository.compression,
        pack_size_bytes=repository.pack_size_bytes,
        password=repository.password,
        no_lock=repository.no_lock,
    )
    return store(settings, order)


def store(settings: Settings, order: msgspec.Struct, *, once: str = "") -> str:
    """Write a private request file, and forget those that nobody has used for months; the token.

    once: see `write_request`.
    """
    token = write_request(settings.state_dir, order, once=once)
    remove_unused_requests(settings.state_dir, unused_s=_UNUSED_S)
    return token


def store_once(settings: Settings, order: msgspec.Struct) -> str:
    """The token of what is wanted now: one run may use it, and the same command again is another request."""
    return store(settings, order, once=secrets.token_hex(16))


def base_queue(settings: Settings, repository: str) -> str:
    """The task queue of this host's runs for a repository (a profile's name, "@token", or "" for any profile)."""
    if settings.worker.task_queue is not None:
        return queue_of(settings.worker.task_queue, repository)
    return task_queue(settings.host, repository)


def queue_of_run(settings: Settings, request: Request) -> str:
    """The task queue that the run goes to: prunes have one of their own, where the settings say so."""
    repository = repository_of(request)
    if asked_by(request).kind is RunKind.PRUNE and settings.prune.task_queue and not is_token(repository):
        return settings.prune.task_queue
    return base_queue(settings, repository)


def workflow_id_of(settings: Settings, request: Request) -> str:
    """The id of the workflow that is asked for: the same each time, so that one at a time has a run of its subject."""
    kind, subject = asked_by(request).kind, subject_of(request) or WHOLE
    repository = repository_of(request)
    if not repository:
        return system_id(kind, settings.host, subject)
    return workflow_id(kind, settings.host, repository, subject)


def run_policy(settings: Settings) -> RunPolicy:
    """How hard runs try, from the settings: enough shards at a time to give each process one to do and one to come."""
    return RunPolicy(
        window=2 * settings.worker.processes, heartbeat_timeout_s=settings.worker.heartbeat_timeout_s
    )

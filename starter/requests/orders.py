"""From what a person typed to what a workflow is asked: requests, private request files, workflow ids.

Workflow ids are the same each time for one host, repository and source, so that two backups of a source cannot run at
once. What was given by name appears by name; what was given by its place appears as the token of its request file.
"""

import getpass
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from contracts.backup import BackupRequest
from contracts.common import RunPolicy, Trigger
from contracts.drill import DrillRequest
from contracts.queues import is_token
from contracts.restore import RestoreRequest
from contracts.system import SystemBackupRequest
from contracts.veiled import ROOT
from contracts.verify import VerifyRequest
from holdfast.errors import HoldfastError, RepositoryNotFoundError, SettingsError, StorageDeniedError
from holdfast.repository.layout import CONFIG
from holdfast.restore.request import RestoreOptions
from holdfast.storage.locations import is_read_only, open_storage
from holdfast.terms import RunKind, Strategy, VerifyLevel
from service.journal.records import RunRecord
from service.settings.exclude_files import resolve
from service.settings.model import RepositoryProfile, Settings
from service.settings.requests import (
    RepositoryOrder,
    SourceOrder,
    read_request,
    remove_unused_requests,
    write_request,
)
from starter.shell.invocation import Invocation
from starter.shell.output import warn

BACKUP: Final = "backup"
RESTORE: Final = "restore"
VERIFY: Final = "verify"
DRILL: Final = "drill"
WHOLE: Final = "all"
"""What stands in the id of a verification in place of a selection."""
_ID_LENGTH: Final = 13
_UNUSED_S: Final = 90 * 86_400.0


def reading(repository: RepositoryProfile, *, no_lock: bool) -> RepositoryProfile:
    """The repository for a command that only reads it: locked, unless that is not wanted or cannot be had.

    Raises:
        As `check_repository`.
    """
    check_repository(repository)
    if no_lock:
        return replace(repository, no_lock=True)
    storage = open_storage(repository.location)
    if is_read_only(storage):
        warn(f"{storage.location} is read-only: nothing is locked there")
    return repository


def check_writable(repository: RepositoryProfile) -> None:
    """Fail now where a backup would in the middle.

    Raises:
        StorageDeniedError: the medium is read-only.
    """
    storage = open_storage(repository.location)
    if is_read_only(storage):
        raise StorageDeniedError(
            f"{storage.location}: read-only file system",
            hint="Mount it for writing, or back up to another repository.",
        )


def check_repository(repository: RepositoryProfile) -> None:
    """Fail now, and not after a server was started, where there is no repository.

    Raises:
        RepositoryNotFoundError: no config is there.
        StorageDeniedError, StorageUnavailableError, UsageError: from the storage.
    """
    storage = open_storage(repository.location)
    if storage.size_or_none(CONFIG) is None:
        raise RepositoryNotFoundError(
            f"{storage.location}: there is no repository (no file `config`)",
            hint="Look for a typing error, or create one there with `holdfast init`.",
        )


def repository_name(invocation: Invocation, repository: RepositoryProfile) -> str:
    """The name by which workflows know a repository: the profile's, or the token of a request file.

    Raises:
        StorageDeniedError, StorageFullError: the state directory cannot be written.
    """
    if invocation.is_profile(repository):
        return repository.name
    order = RepositoryOrder(
        location=repository.location,
        compression=repository.compression,
        pack_size_bytes=repository.pack_size_bytes,
        password=repository.password,
        no_lock=repository.no_lock,
    )
    return store(invocation.settings, order)


def source_changed(settings: Settings, environ: Mapping[str, str], record: RunRecord) -> bool:
    """Whether the source of a backup is not what it was when the run was opened: its plan is of what was meant then.

    False where that cannot be told: what is missing or cannot be read, the run itself says best.
    """
    if not record.source_digest:
        return False
    try:
        if is_token(record.source):
            profile = read_request(settings.state_dir, record.source, SourceOrder).profile(record.source)
        else:
            profile = settings.source(record.source)
        return resolve(profile, environ).spec.digest != record.source_digest
    except HoldfastError:
        return False


def veiled_roots(settings: Settings, source: str) -> list[tuple[str, str]]:
    """What messages of a backup have in place of its source's paths, and the paths; none of a source that is gone."""
    try:
        if is_token(source):
            roots = read_request(settings.state_dir, source, SourceOrder).spec.roots
        else:
            roots = settings.source(source).spec.roots
    except HoldfastError:
        return []
    return [(ROOT.format(number), os.fsdecode(root)) for number, root in enumerate(roots, start=1)]


def known_repository(settings: Settings, name: str) -> RepositoryProfile:
    """The repository that a run names.

    Raises:
        SettingsError: it is in the settings no more, or its request file is gone.
    """
    if not is_token(name):
        return settings.repository(name)
    return read_request(settings.state_dir, name, RepositoryOrder).profile(name)


def describe_source(settings: Settings, name: str) -> str:
    """A source as people know it: the profile's name, or the paths behind a token."""
    if not is_token(name):
        return name
    try:
        order = read_request(settings.state_dir, name, SourceOrder)
    except SettingsError:
        return name
    return ", ".join(root.decode(errors="backslashreplace") for root in order.spec.roots)


def describe_selection(settings: Settings, name: str) -> str:
    """A restore's selection as people know it: the snapshot and the target behind a token."""
    try:
        options = read_request(settings.state_dir, name, RestoreOptions)
    except SettingsError:
        return name
    target = "in place" if options.target is None else options.target.decode(errors="backslashreplace")
    return f"{options.snapshot} → {target}"


def store(settings: Settings, order: msgspec.Struct, *, once: str = "") -> str:
    """Write a private request file, and forget those that nobody has used for months; the token.

    once: see `write_request`.
    """
    token = write_request(settings.state_dir, order, once=once)
    remove_unused_requests(settings.state_dir, unused_s=_UNUSED_S)
    return token


def store_restore(settings: Settings, options: msgspec.Struct) -> str:
    """The token of a restore that is wanted now: one run may use it, and the same command again is another request."""
    return store(settings, options, once=secrets.token_hex(16))


def workflow_id(kind: str, settings: Settings, repository: str, subject: str) -> str:
    """The id of the workflow that backs up a source, or restores a selection."""
    return ":".join((kind, settings.host, shown(repository), shown(subject)))


def system_id(kind: RunKind, host: str, system: str) -> str:
    """The id of the workflow that backs up or recovers a system."""
    return f"{kind.value}:{host}:{system}"


def backup_request(
    settings: Settings,
    *,
    repository: str,
    source: str,
    strategy: Strategy,
    verify: VerifyLevel,
    host: str = "",
    tags: Sequence[str] = (),
    parent: str = "",
) -> BackupRequest:
    """The request of a backup that a person asks for."""
    return BackupRequest(
        repository=repository,
        source=source,
        strategy=strategy,
        trigger=_person(),
        host=host,
        tags=tuple(tags),
        parent=parent,
        verify=verify,
        policy=run_policy(settings),
    )


def restore_request(
    settings: Settings, *, repository: str, selection: str, verify: VerifyLevel
) -> RestoreRequest:
    """The request of a restore that a person asks for."""
    return RestoreRequest(
        repository=repository,
        selection=selection,
        trigger=_person(),
        verify=verify,
        policy=run_policy(settings),
    )


def verify_request(settings: Settings, *, repository: str, selection: str, share: str) -> VerifyRequest:
    """The request of a verification that a person asks for. selection: a token, or empty for all snapshots."""
    return VerifyRequest(
        repository=repository,
        selection=selection,
        share=share,
        trigger=_person(),
        policy=run_policy(settings),
    )


def drill_request(
    settings: Settings,
    *,
    repository: str,
    drill: str,
    source: str = "",
    sample: str = "all",
    snapshot: str = "",
) -> DrillRequest:
    """The request of a drill that a person asks for: one of the settings, or a plain one of a source."""
    return DrillRequest(
        repository=repository,
        drill=drill,
        source=source,
        sample=sample,
        snapshot=snapshot,
        trigger=_person(),
        policy=run_policy(settings),
    )


def system_backup_request(
    settings: Settings, *, system: str, strategy: Strategy, trigger: Trigger
) -> SystemBackupRequest:
    """The request of a backup of a system of the settings.

    Raises:
        SettingsError: there is no such system.
    """
    return SystemBackupRequest(
        system=settings.system(system).name,
        strategy=strategy,
        trigger=trigger,
        policy=run_policy(settings),
    )


def run_policy(settings: Settings) -> RunPolicy:
    """How hard runs try, from the settings: enough shards at a time to give each process one to do and one to come."""
    return RunPolicy(
        window=2 * settings.worker.processes, heartbeat_timeout_s=settings.worker.heartbeat_timeout_s
    )


def _person() -> Trigger:
    try:
        return Trigger(by=getpass.getuser())
    except (KeyError, OSError):
        return Trigger()


def shown(name: str) -> str:
    """A name as ids of workflows have it: of a token, what is asked for (service/settings/requests.py)."""
    return name[:_ID_LENGTH] if is_token(name) else name

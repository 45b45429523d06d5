"""The witness holds what a run says of itself against what is there, before a command repeats it.

A result comes from the server, and anybody who reaches that may have answered in a worker's place. So a command says
"complete" of a backup only when it has read the snapshot itself: one small file, without a lock. It is decrypted, and
must bear the run's tag, where this command has opened the repository for workers of its own; beside a service, whose
answer is signed (ADR 0030), the file must be there and be what its name says, because deriving the key again would take
half a second. A restore, which is carried out on this host, has left a note beside its request.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from holdfast.contracts.backup import BackupResult
from holdfast.contracts.identity import is_own
from holdfast.contracts.restore import RestoreRequest, RestoreResult
from holdfast.contracts.verbs import Result, asked_by
from holdfast.errors import (
    CorruptFileError,
    HoldfastError,
    PermanentError,
    SettingsError,
    StoredFileMissingError,
)
from holdfast.ids import SnapshotId, from_hex, is_hex_id, sha256, short
from holdfast.repository.layout import SNAPSHOTS, file_name
from holdfast.repository.repository import Repository
from holdfast.service.settings.credentials import open_place
from holdfast.service.settings.model import Settings
from holdfast.service.settings.request_uses import RequestUse, uses_like
from holdfast.service.settings.requests import is_once
from holdfast.starter.runs.order import Order
from holdfast.storage.contract import Storage
from holdfast.terms import RunStatus

if TYPE_CHECKING:
    from holdfast.contracts.system import SystemResult

_LIMIT_BYTES = 64 << 20
_DONE = frozenset((RunStatus.COMPLETE, RunStatus.PARTIAL))


class UnprovenError(PermanentError):
    """A run says that it has done what nobody can find."""


async def check_result(
    settings: Settings,
    environ: Mapping[str, str],
    order: Order,
    result: Result,
    opener: Callable[[str], Repository] | None,
) -> None:
    """Whether what the result says of a backup, a restore or a system is there.

    opener: opens a repository by its location, with the key that this command has derived already.

    Raises:
        UnprovenError: it is not.
        StorageDeniedError, StorageUnavailableError: nobody can look.
    """
    request, repository = order.request, order.repository
    began = result.began if isinstance(result, BackupResult | RestoreResult) else ""
    if not is_own(result.run_id, order.workflow_id) or (began and not is_own(began, order.workflow_id)):
        raise _unproven("it tells of another run")
    if asked_by(request).subject == "system":
        await _check_members(settings, environ, cast("SystemResult", result))
    if result.status not in _DONE:
        return
    if isinstance(result, BackupResult) and repository is not None:
        run_id = result.began or result.run_id
        place = partial(open_place, repository, environ, settings.state_dir)
        opened = None if opener is None else partial(opener, repository.location)
        await asyncio.to_thread(_check_snapshot, place, result.snapshot_id, run_id, opened)
    elif isinstance(result, RestoreResult) and isinstance(request, RestoreRequest):
        await asyncio.to_thread(_check_restore, settings.state_dir, request.selection, result)


async def _check_members(settings: Settings, environ: Mapping[str, str], result: "SystemResult") -> None:
    """The same of a system's members, as far as their sources are this host's."""
    if result.is_restore:
        return
    for member in result.members:
        source = settings.sources.get(member.label)
        if member.ok and source is not None:
            place = partial(open_place, settings.repository(source.repository), environ, settings.state_dir)
            await asyncio.to_thread(_check_snapshot, place, member.snapshot_id, member.run_id, None)


def _check_snapshot(
    place: Callable[[], Storage], snapshot_id: str, run_id: str, opener: Callable[[], Repository] | None
) -> None:
    if not is_hex_id(snapshot_id):
        raise _unproven("it names no snapshot")
    found = SnapshotId(from_hex(snapshot_id))
    if opener is not None:
        _check_tag(opener(), found, run_id)
        return
    try:
        stored = place().get(file_name(SNAPSHOTS, found), limit_bytes=_LIMIT_BYTES)
    except StoredFileMissingError:
        raise _unproven(f"the repository has no snapshot {short(found)}") from None
    if sha256(stored) != found:
        raise _unproven(f"the snapshot {short(found)} is damaged")


def _check_tag(repository: Repository, snapshot_id: SnapshotId, run_id: str) -> None:
    from holdfast.backup.opening import run_tag  # noqa: PLC0415 - loaded by then, with the workers
    from holdfast.repository.snapshots import load_snapshot  # noqa: PLC0415 (only where the key is at hand)

    try:
        stored = load_snapshot(repository, snapshot_id)
    except (StoredFileMissingError, CorruptFileError) as error:
        raise _unproven(f"its snapshot {short(snapshot_id)} cannot be read: {error.message}") from None
    if run_tag(run_id) not in (stored.snapshot.tags or ()):
        raise _unproven(f"the snapshot {short(snapshot_id)} is another run's")


def _check_restore(state_dir: Path, selection: str, result: RestoreResult) -> None:
    try:
        if not is_once(state_dir, selection):
            return
    except SettingsError:
        pass  # the run of an equal order was under way, and this command's own was withdrawn
    said = RequestUse(
        run=result.began or result.run_id, over=True, status=result.status.value, snapshot=result.snapshot_id
    )
    if said not in uses_like(state_dir, selection):
        raise _unproven("no worker of this host has noted that it carried it out")


def _unproven(reason: str) -> HoldfastError:
    return UnprovenError(
        f"the run says that it is done, but {reason}",
        hint="Another program may have answered for this host's workers (docs/security.md). Repeat the command.",
    )

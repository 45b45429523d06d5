"""Starts the run that is wanted, joins the one of its subject that is under way, or goes on with an interrupted one."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from temporalio.client import Client

from holdfast.contracts.backup import BackupRequest
from holdfast.contracts.identity import is_own, shown
from holdfast.contracts.restore import RestoreRequest
from holdfast.contracts.verbs import Request, Resumable, asked_by, is_resumable, subject_of
from holdfast.control import runs
from holdfast.control.continuation import to_continue
from holdfast.control.journal import open_journal
from holdfast.control.names import called_on_server, source_changed
from holdfast.control.requests import queue_of_run
from holdfast.errors import JournalUnavailableError
from holdfast.service.journal.glance import nothing_open
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.model import Settings
from holdfast.service.settings.requests import remove_request
from holdfast.terms import RunKind

_LOOKED_AT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run that is under way now. joined: it was before. resumed: it goes on with one that was interrupted.

    earlier: that one, where the journal told of it. changed: there is one, and its source's settings have changed
    since. unread: why the journal could not be asked.
    """

    handle: runs.Handle
    joined: bool = False
    resumed: bool = False
    earlier: RunRecord | None = None
    changed: bool = False
    unread: str = ""


async def begin(
    client: Client,
    settings: Settings,
    environ: Mapping[str, str],
    request: Request,
    workflow_id: str,
    *,
    fresh: bool = False,
    lift_pause: bool = False,
) -> Begun:
    """Have the run under way. fresh: do not go on with an interrupted one. lift_pause: of one that is open.

    Raises:
        RPCError: the server does not answer as it should.
        StorageDeniedError: the request file of an order that is not needed cannot be removed.
    """
    if await runs.is_open(client, workflow_id):
        handle = runs.handle_of(client, asked_by(request).kind, workflow_id)
        if lift_pause:
            await runs.lift_pause(handle)
        elif isinstance(request, RestoreRequest):  # it is the open run's that is carried out
            remove_request(settings.state_dir, request.selection)
        return Begun(handle=handle, joined=True)
    queue, called = queue_of_run(settings, request), called_on_server(settings, request)
    if not is_resumable(request) or fresh:
        return Begun(handle=await runs.start(client, request, workflow_id, queue, called=called))
    if request.resume_run:
        asked = await _as_asked_before(client, workflow_id, request)
        return Begun(handle=await runs.start(client, asked, workflow_id, queue, called=called), resumed=True)
    earlier, changed, unread = await asyncio.to_thread(_interrupted, settings, environ, request, workflow_id)
    if earlier is not None:
        if isinstance(request, RestoreRequest):  # with the order that it has used; this one is not needed
            remove_request(settings.state_dir, request.selection)
            request = replace(request, selection=earlier.source)
        request = replace(request, resume_run=earlier.workspace_id)
    handle = await runs.start(client, request, workflow_id, queue, called=called)
    return Begun(handle=handle, resumed=earlier is not None, earlier=earlier, changed=changed, unread=unread)


def _interrupted(
    settings: Settings, environ: Mapping[str, str], request: Resumable, workflow_id: str
) -> tuple[RunRecord | None, bool, str]:
    """The interrupted run that this one goes on with; whether its source has changed; why nobody can tell."""
    kind = asked_by(request).kind
    try:
        record = _newest_record(settings, environ, kind, request.repository, subject_of(request))
    except JournalUnavailableError as error:
        return None, False, error.message
    only_lost = kind is not RunKind.BACKUP
    earlier = to_continue(record, is_open=False, now_ns=time.time_ns(), only_lost=only_lost)
    # Of a journal that hosts share, another host's run of a source of the same name is not this one's to go on with.
    if (
        earlier is None
        or not is_own(earlier.workspace_id, workflow_id)
        or not _asks_the_same(request, earlier)
    ):
        return None, False, ""
    changed = source_changed(settings, environ, earlier)
    return None if changed else earlier, changed, ""


def _newest_record(
    settings: Settings, environ: Mapping[str, str], kind: RunKind, repository: str, source: str
) -> RunRecord | None:
    """The journal's newest run of a source, where it may be open. Of a restore's, each request has a token of its own.

    Raises:
        JournalUnavailableError: it cannot be read.
    """
    alike = len(shown(source)) if kind is RunKind.RESTORE else None
    if settings.journal.url is None and nothing_open(
        settings.journal_path, kind, repository, source, alike=alike
    ):
        return None
    wanted = None if alike else source
    found = open_journal(settings, environ).runs(
        _LOOKED_AT, source=wanted, repositories=[repository], kind=kind
    )
    return next((record for record in found if record.source[:alike] == source[:alike]), None)


def _asks_the_same(request: Resumable, earlier: RunRecord) -> bool:
    """Whether the earlier run can become what is asked: its strategy and parent, or its share, are decided."""
    from holdfast.contracts.prune import DRY_RUN, PruneRequest  # noqa: PLC0415 - only where a run was interrupted
    from holdfast.contracts.verify import VerifyRequest  # noqa: PLC0415 - as above

    match request:
        case BackupRequest():
            return not request.parent and request.strategy.value in {"auto", earlier.strategy}
        case VerifyRequest():
            return request.share == earlier.strategy
        case PruneRequest():
            return request.dry_run == (earlier.strategy == DRY_RUN)
        case _:
            return True


async def _as_asked_before(client: Client, workflow_id: str, request: Resumable) -> Resumable:
    """The request that the run had, where the server still knows it: with its tags, its strategy, its level."""
    asked = await runs.request_of(client, workflow_id, asked_by(request).kind)
    if not is_resumable(asked):
        return request
    return replace(asked, resume_run=request.resume_run, policy=request.policy, progress=None)

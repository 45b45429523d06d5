"""Says what a backup would do: in this process, by the engine's own steps, without a run and without a record.

What it reads, this process may read, which need not be what the workers of a service may.
"""

import contextlib
import os
import pwd
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from holdfast.backup.dry_run import DryResult, DryRun, dry_repository
from holdfast.backup.opening import BackupOrder
from holdfast.contracts.backup import BackupResult
from holdfast.contracts.common import Phase, Progress
from holdfast.control.progress import RunView
from holdfast.ids import to_hex
from holdfast.repository.session import RepositorySession
from holdfast.service.settings.commands import harmless
from holdfast.service.settings.exclude_files import resolve
from holdfast.service.settings.model import RepositoryProfile, SourceProfile
from holdfast.starter.requests.repositories import open_profile
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.view.display import Display, display_for
from holdfast.starter.view.reports import Report
from holdfast.terms import RunKind, RunStatus, SelectionTotals, StoredTotals, Strategy


def dry_backup(
    invocation: Invocation,
    repository: RepositoryProfile,
    source: SourceProfile,
    *,
    strategy: Strategy,
    host: str,
    tags: tuple[str, ...],
    parent: str,
) -> int:
    """Say what a backup of this source into this repository would do; the exit code.

    Raises:
        HoldfastError: whatever would keep the backup from being made.
    """
    options = invocation.options
    order = BackupOrder(
        spec=resolved(invocation, source).spec,
        host=host or source.host or invocation.settings.host,
        strategy=strategy,
        started_ns=time.time_ns(),
        parent=parent,
        tags=tags or source.tags,
        source=source.name,
        username=pwd.getpwuid(os.getuid()).pw_name,
    )
    display = display_for(
        RunKind.BACKUP, as_json=options.json, quiet=options.quiet, terminal=sys.stdout.isatty()
    )
    with _session(invocation, repository) as session:
        run = DryRun(session, order, _Shown(display).show)
        try:
            result = run.run()
        finally:
            display.close()
        report = Report(
            invocation.settings,
            as_json=options.json,
            quiet=options.quiet,
            list_files=options.verbose > 0,
            files=run.files,
        )
        return report.tell(_as_told(result))


def resolved(invocation: Invocation, source: SourceProfile) -> SourceProfile:
    """The source with the patterns of its files, or with what its command gets of an environment, as a worker has it.

    Raises:
        SettingsError: a file of patterns cannot be read.
    """
    if source.spec.command:
        return replace(source, spec=replace(source.spec, command_environ=harmless(invocation.environ)))
    return resolve(source, invocation.environ)


@contextlib.contextmanager
def _session(invocation: Invocation, profile: RepositoryProfile) -> Iterator[RepositorySession]:
    session = RepositorySession(
        dry_repository(open_profile(invocation, profile)),
        compression=profile.compression,
        pack_size_bytes=profile.pack_size_bytes,
    )
    try:
        yield session
    finally:
        session.close()


class _Shown:
    """Shows how far it has come, as often as the display wants to know."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._next_s = 0.0
        self._started_ns = time.time_ns()

    def show(self, selected: SelectionTotals, stored: StoredTotals, count: int) -> None:
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + self._display.interval_s
        unchanged = selected.bytes_total - selected.bytes_to_read
        progress = Progress(
            run_id="",
            phase=Phase.EXECUTE,
            files_total=selected.files_new + selected.files_changed + selected.files_unmodified,
            files_done=selected.files_unmodified + stored.files,
            bytes_total=selected.bytes_total,
            bytes_done=min(selected.bytes_total, unchanged + stored.bytes_read + count),
            errors=selected.errors + stored.errors,
            started_ns=self._started_ns,
        )
        self._display.show(RunView(progress=progress))


def _as_told(done: DryResult) -> BackupResult:
    opening, result = done.opening, done.result
    return BackupResult(
        run_id="",
        status=RunStatus.PARTIAL if result.partial else RunStatus.COMPLETE,
        parent=to_hex(opening.parent),
        strategy=opening.strategy,
        reason=opening.reason,
        started_ns=opening.started_ns,
        ended_ns=time.time_ns(),
        selected=done.selected,
        stored=done.stored,
        totals=result.totals.with_data(done.stored),
    )

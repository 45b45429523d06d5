"""`holdfast cleanup` removes what nobody goes on with, now; the service does it each day."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final

import typer

from holdfast.contracts import identity
from holdfast.contracts.cleanup import CLEANUP_WORKFLOW, CleanupRequest, CleanupResult, RepositoryCleaned
from holdfast.contracts.veiled import REPOSITORY
from holdfast.control import requests, runs
from holdfast.control.known_paths import KnownPaths
from holdfast.control.repositories import check_repository
from holdfast.errors import EXIT_COMPLETE, EXIT_FAILED, EXIT_LOCKED, UsageError
from holdfast.format.times import format_time
from holdfast.service.settings.model import RepositoryProfile
from holdfast.starter.host.service import Need, open_service
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import say, say_flowed, say_json, warn
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import local_time
from holdfast.units import counted, format_bytes

_COLUMNS: Final = (
    Column("Run", 0, Kind.PATH),
    Column("Last used", 1, Kind.TIME),
    Column("Size", 2, Kind.NUMBER),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupOptions(CommonOptions):
    """Options of `cleanup`."""

    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only show what would be removed.")] = False


def cleanup(options: CleanupOptions) -> int:
    """Remove workspaces of runs that nobody went on with for long, and what crashes and killed drills have left.

    Of one repository with --repo, else of all in the settings. Snapshots and their data are never touched. What belongs
    to an open run stays, however old. The ages stand in the settings, table [cleanup].
    """
    invocation = Invocation.of(options)
    return asyncio.run(_cleanup(invocation, options))


async def _cleanup(invocation: Invocation, options: CleanupOptions) -> int:
    settings = invocation.settings
    profiles = _repositories(invocation)
    for profile in profiles.values():
        check_repository(profile)
    request = CleanupRequest(
        repositories=tuple(profiles), dry_run=options.dry_run, policy=requests.run_policy(settings)
    )
    need = Need(
        queue=requests.base_queue(settings, next(iter(profiles)) if len(profiles) == 1 else ""),
        passwords={
            location: password
            for profile in profiles.values()
            for location, password in invocation.worker_passwords(profile).items()
        },
    )
    subject = ",".join(profiles) if invocation.names_repository() else identity.WHOLE
    workflow_id = identity.system_id("cleanup", settings.host, subject)
    with runs.server_errors():
        async with open_service(settings, need, invocation.environ) as service:
            handle = await runs.start_once(
                service.client,
                CLEANUP_WORKFLOW,
                request,
                CleanupResult,
                workflow_id=identity.part_id(workflow_id, "dry-run") if options.dry_run else workflow_id,
                queue=need.queue,
                summary="remove what nobody goes on with",
            )
            result = await runs.result_of(handle, lambda: None)
    shown = [_with_paths(cleaned, profiles[cleaned.repository]) for cleaned in result.repositories]
    names = {name: profile.name for name, profile in profiles.items()}
    return _tell(invocation, replace(result, repositories=tuple(shown)), names)


def _with_paths(cleaned: RepositoryCleaned, profile: RepositoryProfile) -> RepositoryCleaned:
    known = KnownPaths({REPOSITORY: profile.location})
    return replace(cleaned, failure=known.shown_in(cleaned.failure))


def _repositories(invocation: Invocation) -> dict[str, RepositoryProfile]:
    """Those that are meant, by the names that workflows know them by.

    Raises:
        UsageError: none is named, and the settings have none.
    """
    if invocation.names_repository():
        repository = invocation.repository()
        return {requests.repository_name(invocation.settings, repository): repository}
    if not invocation.settings.repositories:
        raise UsageError(
            "no repository is named",
            hint="Give --repo with a location, or name repositories in the settings.",
        )
    return dict(invocation.settings.repositories)


def _tell(invocation: Invocation, result: CleanupResult, names: Mapping[str, str]) -> int:
    if invocation.options.json:
        say_json(
            {
                "message_type": "summary",
                "dry_run": result.dry_run,
                "scratch_folders": result.scratch,
                "repositories": [_document(cleaned, names) for cleaned in result.repositories],
            }
        )
    else:
        for cleaned in result.repositories:
            _tell_repository(cleaned, names[cleaned.repository], dry_run=result.dry_run)
        if result.scratch:
            say(f"{_did(dry_run=result.dry_run)} {counted(result.scratch, 'folder')} of killed drills")
    if any(cleaned.failure for cleaned in result.repositories):
        return EXIT_FAILED
    return EXIT_LOCKED if any(cleaned.in_use for cleaned in result.repositories) else EXIT_COMPLETE


def _tell_repository(cleaned: RepositoryCleaned, name: str, *, dry_run: bool) -> None:
    if cleaned.failure:
        warn(f"{name}: {cleaned.failure}")
        return
    rows = [
        (run.run_id or "(no run)", local_time(run.written_ns), format_bytes(run.size_bytes))
        for run in cleaned.runs
    ]
    done = (
        f"{name}: {_did(dry_run=dry_run)} {counted(cleaned.run_count, 'abandoned run')} "
        f"({format_bytes(cleaned.run_bytes)}) and {counted(cleaned.leftovers, 'temporary file')} of crashes"
    )
    say_flowed(table(_COLUMNS, rows, done))
    if cleaned.in_use:
        warn(f"{name}: it is in use, so abandoned runs stay for now; repeat this later")


def _did(*, dry_run: bool) -> str:
    return "would remove" if dry_run else "removed"


def _document(cleaned: RepositoryCleaned, names: Mapping[str, str]) -> dict[str, object]:
    return {
        "repository": names[cleaned.repository],
        "runs": [
            {"run_id": run.run_id, "size": run.size_bytes, "last_used": format_time(run.written_ns)}
            for run in cleaned.runs
        ],
        "run_count": cleaned.run_count,
        "run_bytes": cleaned.run_bytes,
        "temporary_files": cleaned.leftovers,
        "in_use": cleaned.in_use,
        "error": cleaned.failure,
    }

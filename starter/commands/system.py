"""`holdfast system` backs up and recovers, as one, sources that belong together."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from holdfast.contracts.identity import short_id
from holdfast.contracts.system import MemberHost, SystemBackupRequest, SystemRestoreRequest
from holdfast.control import requests
from holdfast.control.journal import open_journal
from holdfast.control.records import document as run_document
from holdfast.errors import UsageError
from holdfast.restore.request import SystemRestoreOrder
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.model import Settings
from holdfast.service.settings.naming import is_name
from holdfast.service.settings.systems import SystemProfile
from holdfast.starter.runs.entry import ask
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.moments import parse_moment
from holdfast.starter.shell.options import CommonOptions, Detach, Texts, one_word
from holdfast.starter.shell.output import tell
from holdfast.starter.shell.registration import add_command
from holdfast.starter.shell.table import Column, Kind, fields, table
from holdfast.starter.shell.text import local_time, named_time
from holdfast.terms import RunKind, Strategy, VerifyLevel
from holdfast.units import counted

app: Final = typer.Typer(help="Systems: sources that belong together.", no_args_is_help=True)

_SHOWN_RUNS: Final = 10
_COLUMNS: Final = (
    Column("System", 0, Kind.PATH),
    Column("Members", 2),
    Column("Last backup", 1, Kind.TIME),
    Column("Status", 0, Kind.STATE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemOptions(CommonOptions):
    """Options that name a system."""

    name: Annotated[str, typer.Argument(metavar="SYSTEM", help="A system of the settings.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupOptions(SystemOptions):
    """Options of `system backup`."""

    strategy: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="full, differential or incremental, for all members.", show_default=False
        ),
    ] = "auto"
    detach: Detach = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOfSystemOptions(SystemOptions):
    """Options of `system restore`."""

    as_of: Annotated[
        str,
        typer.Option(
            metavar="MOMENT", help="As of 2026-11-20T03:00, or 36h ago; else the newest.", show_default=False
        ),
    ] = ""
    host: Annotated[
        Texts,
        typer.Option("--host", "-H", metavar="MEMBER=HOST", help="Restore it to another host; repeatable."),
    ] = ()
    target: Annotated[
        str,
        typer.Option(
            "--target", "-t", metavar="DIR", help="A folder here for each member.", show_default=False
        ),
    ] = ""
    in_place: Annotated[bool, typer.Option("--in-place", help="Restore to where all of it came from.")] = (
        False
    )
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Read back what was restored.")] = True
    detach: Detach = False


def list_(options: CommonOptions) -> int:
    """List the systems of the settings, with how their last backups ended."""
    settings = Invocation.of(options).settings
    documents = [_document(settings, profile) for profile in settings.systems.values()]
    rows = []
    for profile in settings.systems.values():
        last = _newest(settings, profile.name, 1)
        rows.append(
            (
                profile.name,
                ", ".join(member.label for member in profile.members),
                local_time(last[0].started_ns) if last else "never",
                last[0].status.value if last else "",
            )
        )
    return tell(options, documents, table(_COLUMNS, rows, counted(len(rows), "system")))


def show(options: SystemOptions) -> int:
    """Show a system: its members, in the order of a recovery, its hooks, and how its last runs ended."""
    settings = Invocation.of(options).settings
    profile = settings.system(options.name)
    pairs = [
        ("System", profile.name),
        ("Members", ", ".join(member.label for member in profile.members)),
        ("Restored in the order", ", ".join(member.label for member in profile.restore_order)),
        ("Hooks before", ", ".join(profile.before)),
        ("Hooks after", ", ".join(profile.after)),
        ("Repository elsewhere", profile.repository),
    ]
    lines = fields(pairs)
    for record in _newest(settings, profile.name, _SHOWN_RUNS):
        good, members = record.counters.get("members_ok", 0), record.counters.get("members", 0)
        how = f"{record.status.value}, {good} of {counted(members, 'member')} (run {short_id(record.run_id)})"
        lines += [
            "",
            f"{named_time(record.started_ns)}  {record.kind.value}  {how}",
        ]
        lines += [f"  {problem}" for problem in (() if record.verdict is None else record.verdict.problems)]
    return tell(options, _document(settings, profile), lines)


def backup(options: BackupOptions) -> int:
    """Back up all members of a system at once, and say of each whether it is recoverable."""
    strategy = Strategy(one_word("--strategy", options.strategy, Strategy))
    invocation = Invocation.of(options)
    system = invocation.settings.system(options.name).name
    request = SystemBackupRequest(system=system, strategy=strategy)
    return ask(invocation, request, detach=options.detach)


def restore(options: RestoreOfSystemOptions) -> int:
    """Recover a system by its name: of each member the matching snapshot, in the declared order."""
    invocation = Invocation.of(options)
    settings = invocation.settings
    now_ns = time.time_ns()
    as_of_ns = parse_moment(options.as_of, option="--as-of", now_ns=now_ns) if options.as_of else 0
    request = SystemRestoreRequest(
        system=settings.system(options.name).name,
        as_of_ns=as_of_ns,
        hosts=tuple(_host(text) for text in options.host),
        order=_order(settings, options, as_of_ns),
        in_place=options.in_place,
        verify=VerifyLevel.FULL if options.verify else VerifyLevel.NONE,
    )
    return ask(invocation, request, detach=options.detach)


def _host(text: str) -> MemberHost:
    member, mark, host = text.partition("=")
    if not mark or not member or not is_name(host):
        raise UsageError(f"--host: {text!r} is none", hint="Write a member and a host: db=db2.")
    return MemberHost(member=member, host=host)


def _order(settings: Settings, options: RestoreOfSystemOptions, as_of_ns: int) -> str:
    """The token of the request: workers of this host restore nothing without one, and the server is told of no path."""
    if bool(options.target) == options.in_place:
        raise UsageError(
            "nothing says where to restore to"
            if not options.target
            else "--target and --in-place exclude each other",
            hint="Give --target DIR, or --in-place for where the members came from.",
        )
    folder = os.path.normpath(os.path.join(bytes(Path.cwd()), os.fsencode(options.target)))
    target = None if options.in_place else folder
    return requests.store_once(
        settings, SystemRestoreOrder(system=options.name, target=target, as_of_ns=as_of_ns)
    )


def _newest(settings: Settings, name: str, limit: int) -> list[RunRecord]:
    journal = open_journal(settings, os.environ)
    return journal.runs(limit, source=name, kind=RunKind.SYSTEM_BACKUP)


def _document(settings: Settings, profile: SystemProfile) -> dict[str, object]:
    return {
        "name": profile.name,
        "members": [member.label for member in profile.members],
        "restore_order": [member.label for member in profile.restore_order],
        "before": list(profile.before),
        "after": list(profile.after),
        "repository": profile.repository,
        "runs": [run_document(settings, run) for run in _newest(settings, profile.name, _SHOWN_RUNS)],
    }


add_command(app, "list", list_)
add_command(app, "show", show)
add_command(app, "backup", backup)
add_command(app, "restore", restore)

"""`holdfast service` has systemd run the service: of the host, or of one user."""

import os
import pwd
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from holdfast import __version__
from holdfast.errors import EXIT_COMPLETE, EXIT_FAILED, StorageDeniedError, UsageError
from holdfast.service.settings.cache import CACHE_VARIABLE
from holdfast.service.settings.model import Settings
from holdfast.service.settings.paths import PathRules
from holdfast.service.settings.state_folder import STATE_VARIABLE
from holdfast.starter.daemon import needs
from holdfast.starter.daemon.systemd import (
    UNIT,
    Standing,
    Systemd,
    account_home,
    make_account,
    make_owned,
    remove,
    standing,
    start,
    write_unit,
)
from holdfast.starter.daemon.unit import ACCOUNT, UnitPlan, unit_text
from holdfast.starter.host.processes import make_private
from holdfast.starter.shell.options import CommonOptions, Texts
from holdfast.starter.shell.output import say, say_json, tell
from holdfast.starter.shell.registration import add_command
from holdfast.starter.shell.text import local_time
from holdfast.units import NS_PER_S, format_bytes

app: Final = typer.Typer(
    help="Have systemd run the service, look at it, and remove it.", no_args_is_help=True
)

_VARIABLES: Final = (STATE_VARIABLE, CACHE_VARIABLE, "XDG_STATE_HOME", "XDG_CACHE_HOME")
"""Where this user's commands look, and so the service has to; its manager does not know a shell's variables."""
_UNKNOWN: Final = str((1 << 64) - 1)
"""What systemd says of a number that it does not have."""
_OfUser = Annotated[bool, typer.Option("--user", help="This user's own service, not the host's.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallOptions(CommonOptions):
    """Options of `service install`."""

    program: Annotated[
        str, typer.Argument(metavar="up|worker", help="With a server, or for one that runs elsewhere.")
    ] = "up"
    user: _OfUser = False
    as_root: Annotated[
        bool,
        typer.Option("--as-root", help=f"Not as the user {ACCOUNT}: for hooks and commands that need it."),
    ] = False
    restore_to: Annotated[
        Texts,
        typer.Option(metavar="PATH", help="Let the service restore there as well; repeatable."),
    ] = ()
    credential: Annotated[
        Texts,
        typer.Option(metavar="NAME=FILE", help="A file that only root can read, handed over; repeatable."),
    ] = ()
    no_start: Annotated[bool, typer.Option("--no-start", help="Write the unit, and start nothing.")] = False
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace even a unit that was changed by hand; it is kept aside."),
    ] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Print the unit, and do nothing.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusOptions(CommonOptions):
    """Options of `service status`."""

    user: _OfUser = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveOptions(CommonOptions):
    """Options of `service remove`."""

    user: _OfUser = False
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove even a unit that was changed by hand; it is kept aside.")
    ] = False


def install(options: InstallOptions) -> int:
    """Write a systemd unit that runs `holdfast up` (or `worker`), and start it.

    The host's service reads everything, as a user of its own, and writes to its repositories and its state alone; where
    it is to restore to says --restore-to. Called again, it writes the unit again, after a change of the settings, say.
    """
    systemd = _systemd(options.user)
    home = _home(options)
    variables = (
        {} if systemd.for_host else {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    )
    settings = needs.settings_of_service(options.config, home, variables)
    plan = _plan(options, settings, variables, for_host=systemd.for_host)
    text = unit_text(plan, __version__)
    if options.dry_run:
        say(text.rstrip("\n"))
        return EXIT_COMPLETE
    if systemd.for_host and os.geteuid() != 0:
        raise StorageDeniedError(
            "the host's service is root's to install", hint="Use sudo, or --user for a service of your own."
        )
    account, done = None, list[str]()
    if systemd.for_host and not options.as_root:
        _check_reach()
        account, made = make_account()
        done += [f"made the user {ACCOUNT}"] if made else []
        done += [f"made {folder}" for folder in plan.writable if make_owned(folder, account)]
    else:
        for folder in filter(None, (settings.state_dir, settings.cache.directory)):
            make_private(folder)
    aside = write_unit(systemd, text, replace=options.replace)
    done += [f"wrote {systemd.unit}"]
    done += [f"the unit that was there is called {aside.name} now"] if aside is not None else []
    if systemd.runs:
        start(systemd, now=not options.no_start)
        done.append("it starts with the " + ("system" if systemd.for_host else "session"))
        done += [] if options.no_start else ["it runs"]
    else:
        done.append("systemd does not run here, so nothing was started")
    notes = list(_notes(settings, plan, account))
    document = {"message_type": "service_installed", "unit": str(systemd.unit), "done": done, "notes": notes}
    return tell(options, document, [*([] if options.quiet else done), *(f"Note: {note}" for note in notes)])


def status(options: StatusOptions) -> int:
    """Show how the service stands; the exit code is 0 while it runs, and 1 else."""
    systemd = _systemd(options.user)
    found = standing(systemd)
    if options.json:
        say_json(_document(systemd, found))
    else:
        for line in _lines(systemd, found):
            say(line)
    return EXIT_COMPLETE if found.is_active else EXIT_FAILED


def remove_service(options: RemoveOptions) -> int:
    """Stop the service, and remove its unit. Settings, state and repositories stay, and so does its user."""
    systemd = _systemd(options.user)
    aside = remove(systemd, replace=options.replace)
    done = [f"removed {systemd.unit}"]
    done += [f"it had been changed, and is kept as {aside.name}"] if aside is not None else []
    document = {"message_type": "service_removed", "unit": str(systemd.unit), "done": done}
    return tell(options, document, () if options.quiet else done)


add_command(app, "install", install)
add_command(app, "status", status)
add_command(app, "remove", remove_service)


def _systemd(of_user: bool) -> Systemd:  # noqa: FBT001 - the option as it is
    return Systemd.of_user(os.environ, Path.home()) if of_user else Systemd.of_host()


def _home(options: InstallOptions) -> Path:
    """The home of the user that the service will be."""
    if options.user:
        return Path.home()
    return Path(pwd.getpwuid(0).pw_dir) if options.as_root else account_home()


def _plan(
    options: InstallOptions, settings: Settings, variables: Mapping[str, str], *, for_host: bool
) -> UnitPlan:
    if options.user and (options.as_root or options.restore_to):
        raise UsageError(
            "--as-root and --restore-to are about the host's service",
            hint="Leave them out: a service of --user may do what the user may.",
        )
    rules = PathRules.of(Path.cwd(), os.environ)
    of_account = for_host and not options.as_root
    state_dir = settings.asked_state_dir if of_account and settings.asked_state_dir else settings.state_dir
    kept = dict.fromkeys(needs.kept_by(settings, state_dir))
    return UnitPlan(
        program=_program(options.program),
        executable=needs.executable(),
        settings=settings.path or Path(),
        for_host=for_host,
        as_root=options.as_root,
        writable=tuple(
            folder for folder in kept if not (of_account and folder.is_relative_to(account_home()))
        ),
        restores_to=tuple(rules.path(path) for path in options.restore_to),
        restores=bool(settings.drills),
        covers_temporary=needs.covers_temporary(settings),
        credentials=dict(_credential(given, rules) for given in options.credential),
        variables=variables,
    )


def _check_reach() -> None:
    closed = needs.closed_to_others()
    if closed is not None:
        raise UsageError(
            f"the service's user could not call holdfast: {closed} is closed to other users",
            hint="Install it for all users (docs/service.md), or run it --as-root.",
        )


def _program(word: str) -> Literal["up", "worker"]:
    match word:
        case "up" | "worker":
            return word
        case _:
            raise UsageError(f"there is no service {word!r}", hint="Write up or worker.")


def _credential(given: str, rules: PathRules) -> tuple[str, Path]:
    name, sign, file = given.partition("=")
    if not sign or not name or not file or {"/", ":"} & {*name}:
        raise UsageError(f"--credential: {given!r} is none", hint="Write NAME=FILE.")
    return name, rules.path(file)


def _notes(settings: Settings, plan: UnitPlan, account: pwd.struct_passwd | None) -> Iterator[str]:
    """What a person should know or do, so that the service can work."""
    if account is not None:
        for folder in plan.writable:
            if folder.stat().st_uid != account.pw_uid:
                yield f"{folder} must be the service's to write: chown -R {ACCOUNT}: {folder}"
        yield f"commands find it as its user: sudo -u {ACCOUNT} holdfast status"
    if plan.for_host and not plan.restores_to and needs.restores_unasked(settings):
        yield "a schedule or a guard restores, and the service may not write there: add --restore-to PATH"
    if not plan.for_host and not _lingers():
        yield "it ends with your last session; `loginctl enable-linger` has it stay"
    for name in plan.credentials:
        handed = "/run/credentials" if plan.for_host else f"/run/user/{os.getuid()}/credentials"
        yield f"the settings find the credential as {handed}/{UNIT}/{name}, while the service runs"


def _lingers() -> bool:
    try:
        return Path("/var/lib/systemd/linger", pwd.getpwuid(os.getuid()).pw_name).exists()
    except KeyError:
        return False


def _lines(systemd: Systemd, found: Standing) -> Iterator[str]:
    shown = found.shown
    if found.installed is None:
        yield f"{UNIT}: not installed ({systemd.unit} is not there)"
    else:
        by = f"by holdfast {found.installed}" if found.installed else "not by holdfast"
        yield f"{systemd.unit}: written {by}{', changed by hand since' if found.changed and found.installed else ''}"
    if not systemd.runs:
        yield "systemd does not run here"
        return
    since = _since(shown)
    yield f"{shown.get('ActiveState', '')} ({shown.get('SubState', '')}){f' since {since}' if since else ''}"
    if shown.get("StatusText"):
        yield shown["StatusText"]
    if found.is_active:
        memory = shown.get("MemoryCurrent", "")
        size = f", memory {format_bytes(int(memory))}" if memory.isdigit() and memory != _UNKNOWN else ""
        yield f"process {shown.get('MainPID')}, started again {shown.get('NRestarts')} times{size}"
    elif shown.get("Result", "success") != "success":
        yield f"it ended: {shown['Result']}"
    yield f"at the start of the {'system' if systemd.for_host else 'session'}: {shown.get('UnitFileState') or 'no'}"
    if shown.get("DropInPaths"):
        yield f"with {shown['DropInPaths']}"
    if shown.get("NeedDaemonReload") == "yes":
        yield "its files were changed since systemd read them: systemctl daemon-reload"


def _since(shown: Mapping[str, str]) -> str:
    stamp = shown.get("ActiveEnterTimestamp", "").removeprefix("@")
    return local_time(int(stamp) * NS_PER_S) if stamp.isdigit() else ""


def _document(systemd: Systemd, found: Standing) -> dict[str, object]:
    return {
        "message_type": "service_status",
        "unit": str(systemd.unit),
        "installed": found.installed is not None,
        "version": found.installed or None,
        "changed": found.changed,
        "active": found.is_active,
        "since": _since(found.shown) or None,
        "systemd": dict(found.shown) if systemd.runs else None,
    }

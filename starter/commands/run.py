"""`holdfast run` shows one run of the journal: its record, its files, its report."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from holdfast.contracts.identity import short_id
from holdfast.control import records
from holdfast.control.journal import open_journal
from holdfast.control.listing import ListedRun
from holdfast.errors import EXIT_COMPLETE, UsageError
from holdfast.file_list import FileAction, FileRecord
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import OutputRecord, RunRecord
from holdfast.starter.shell.cells import flowed, one_line
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions, Texts, one_word
from holdfast.starter.shell.output import say, say_all, say_flowed, say_json, tell_done
from holdfast.starter.shell.registration import add_command
from holdfast.starter.shell.screen import Screen, answer_screen
from holdfast.starter.shell.text import printable
from holdfast.starter.view.details import details
from holdfast.starter.view.report.content import gather
from holdfast.starter.view.report.page import render_page
from holdfast.units import NS_PER_S, format_bytes

app: Final = typer.Typer(help="One run: its record, its files, its report.", no_args_is_help=True)

_ACTIONS: Final = tuple(action.value for action in FileAction)
_SHOWN_PATHS: Final = 20
_ACTION_WIDTH: Final = 10
_SIZE_WIDTH: Final = 10
_ROOM_FOR_SIZES: Final = 60
_MODE: Final = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions(CommonOptions):
    """Options of `run show`."""

    run: Annotated[str, typer.Argument(metavar="RUN", help="Its id, the end of that, or its source.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesOptions(ShowOptions):
    """Options of `run files`."""

    action: Annotated[
        Texts,
        typer.Option(metavar="ACTION", help=f"Only {', '.join(_ACTIONS)}; repeatable.", show_default=False),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions(CommonOptions):
    """Options of `run report`."""

    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            help="Its id, the end of that, or a source: its newest backup.",
            show_default=False,
        ),
    ] = ""
    source: Annotated[
        str, typer.Option(metavar="NAME", help="The newest backup of this source.", show_default=False)
    ] = ""
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help='The page to write; "-" to print it.')
    ] = "report.html"


def show(options: ShowOptions) -> int:
    """Show a run: what was asked, how it ended, what was counted, what went wrong."""
    settings = Invocation.of(options).settings
    journal = open_journal(settings, os.environ)
    run = records.find_record(journal, options.run)
    if options.json:
        say_json(
            records.document(settings, run) | {"hooks": msgspec.to_builtins(journal.outputs(run.run_id))}
        )
        return EXIT_COMPLETE
    say_flowed(details(settings, ListedRun.of(run), status=run.status.value))
    say_flowed(_problems(journal, run))
    for output in journal.outputs(run.run_id):
        say_flowed([_hook_line(output)])
        say_flowed(f"  {printable(line.encode())}" for line in output.output.splitlines())
    return EXIT_COMPLETE


def files(options: FilesOptions) -> int:
    """List a run's files: what became of each path that it stored, restored or could not read."""
    actions = [FileAction(one_word("--action", name, _ACTIONS)) for name in options.action]
    journal = open_journal(Invocation.of(options).settings, os.environ)
    run = records.find_record(journal, options.run)
    found = journal.files(run.run_id, actions)
    if options.json:
        for file in found:
            say_json(_document(file))
    else:
        screen = answer_screen()
        say_all(line for file in found for line in _lines(file, screen))
    return EXIT_COMPLETE


def report(options: ReportOptions) -> int:
    """Write a page about a run and those of its source before: self-contained HTML, to keep or to send."""
    if bool(options.run) == bool(options.source):
        raise UsageError(
            "one run or one source is needed", hint="Give a run of `holdfast runs`, or --source NAME."
        )
    settings = Invocation.of(options).settings
    journal = open_journal(settings, os.environ)
    name = options.run or options.source
    run = records.find_backup(journal, name)
    if run is None and options.source:
        raise UsageError(
            f"the journal has no backup of {name!r}",
            hint=f"`holdfast runs --source {name}` lists what it has of it.",
        )
    run = run or records.find_record(journal, name)
    page = render_page(gather(settings, journal, run))
    if options.output == "-":
        say(page)
        return EXIT_COMPLETE
    path = Path(options.output)
    _write(path, page)
    document = {"message_type": "report", "path": str(path), "run_id": run.run_id}
    return tell_done(options, document, f"wrote {path}, about run {short_id(run.run_id)}")


def _lines(file: FileRecord, screen: Screen) -> list[str]:
    """One line; on a terminal the message stands below, and a narrow one has no room for the size."""
    head = f"{file.action.value:<{_ACTION_WIDTH}} "
    if screen.width is None or screen.width >= _ROOM_FOR_SIZES:
        head += f"{format_bytes(file.size_bytes):>{_SIZE_WIDTH}}  "
    path = one_line(printable(file.path), used=len(head), screen=screen)
    if screen.width is None:
        return [f"{head}{path}: {file.message}" if file.message else f"{head}{path}"]
    return [head + path, *(flowed(f"  {file.message}", screen=screen) if file.message else [])]


def _document(file: FileRecord) -> dict[str, object]:
    """Paths as restic's JSON has them; one that is not UTF-8 stands there as hex as well."""
    document: dict[str, object] = {
        "action": file.action.value,
        "path": file.path.decode("utf-8", "replace"),
        "size": file.size_bytes,
    }
    try:
        file.path.decode()
    except UnicodeDecodeError:
        document["path_hex"] = file.path.hex()
    return document | ({"message": file.message} if file.message else {})


def _problems(journal: Journal, run: RunRecord) -> list[str]:
    found = [] if run.verdict is None else [f"verification: {what}" for what in run.verdict.problems]
    left = _SHOWN_PATHS
    for file in journal.files(run.run_id, records.TOLD_ACTIONS):
        if not left:
            found.append("… `holdfast run files` lists them all")
            break
        left -= 1
        found.append(f"{file.action.value}: {printable(file.path)}: {file.message}")
    return found


def _hook_line(output: OutputRecord) -> str:
    ending = "ran out of time" if output.timed_out else f"exit code {output.exit_code}"
    took_s = max(0, output.ended_ns - output.started_ns) / NS_PER_S
    return f"{output.hook} ({output.moment}): {ending} after {took_s:.1f} s"


def _write(path: Path, page: str) -> None:
    """For its owner's eyes, as the journal is: the page names files."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE), "w", encoding="utf-8") as file:
        file.write(page)


add_command(app, "show", show)
add_command(app, "files", files)
add_command(app, "report", report)

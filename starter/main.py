"""The console script `holdfast`: finds the command, runs it, and tells every mistake in two lines.

A command's module is imported when the command is called, because some bring a whole Temporal client; the others
stand in the help text by their names.
"""

import gc
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import typer

from holdfast import __version__
from holdfast.errors import EXIT_COMPLETE, EXIT_FAILED, EXIT_INTERRUPTED, HoldfastError
from holdfast.starter.shell.hangup import outliving_tests
from holdfast.starter.shell.help import PageOfCommands
from holdfast.starter.shell.output import say, speak_any_language, tell_error
from holdfast.starter.shell.registration import add_command, add_common_options

SECTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "Back up and restore": {
        "init": "Create a repository.",
        "backup": "Back up PATHS, or a source of the settings by its name.",
        "restore": "Restore a snapshot, or parts of it, to a target.",
        "snapshots": "List the snapshots of a repository.",
        "ls": "List the files of a snapshot.",
        "changes": "Show what came, went and changed in a source, deletions too.",
        "system": "Back up and recover sources that belong together.",
    },
    "Runs": {
        "status": "Show how well each source is backed up, and what is under way.",
        "runs": "List the runs of the journal, by source, kind, status and time.",
        "run": "Show one run: its record, its files, its report as a page.",
        "cancel": "Ask a run to stop; it can be resumed.",
        "pause": "Let a run rest, for days if need be.",
        "resume": "Go on with a paused or interrupted run.",
        "throttle": "Limit how fast a run reads, also by the time of day.",
        "priority": "Let a run go before others, or after them.",
        "decisions": "Show which people decided what, and why.",
        "approve": "Decide about a restore that a guard has asked for, or the plan of a prune.",
    },
    "Check and repair": {
        "verify": "Check snapshots: structure, or everything they refer to.",
        "drill": "Try a restore, compare and check it, and hold it against its goals.",
        "drills": "Show what drills have proven, and what was never proven restorable.",
        "guard": "Compare a source with its newest snapshot; report, ask, or restore.",
        "repair": "Repair the index, damaged packs, or snapshots that lack something.",
        "unlock": "Remove the locks of the dead, or all.",
        "migrate": "Bring a repository to a newer version of the format.",
        "storage": "Try the place where a repository lies.",
    },
    "Keep and forget": {
        "forget": "Forget snapshots, by their ids or by a policy.",
        "unforget": "Take back what was forgotten, or list what can be.",
        "hold": "Hold a snapshot: nothing of Holdfast removes it.",
        "holds": "List holds, and alarms that hold snapshots.",
        "release": "Let go of a hold, or decide about an alarm.",
        "retention": "Show what policies keep, now and in the next year.",
        "prune": "Remove what no snapshot needs, beside running backups.",
        "tag": "Change the tags of snapshots.",
        "stats": "Count what snapshots hold, what each source takes, how the repository grows.",
        "cleanup": "Remove what abandoned runs, crashes and killed drills have left.",
    },
    "Schedules and services": {
        "schedule": "Apply, list and steer the schedules of the settings.",
        "watch": "Watch sources for changes, and ask for backups.",
        "advise": "Propose strategy, schedule and retention for a source.",
        "up": "Run the service: server, workers and Web UI, in the foreground.",
        "worker": "Run the workers of this host for a server elsewhere.",
        "service": "Have systemd run the service, look at it, and remove it.",
        "codec-server": "Let the Web UI show payloads that are encrypted.",
    },
    "Settings and shell": {
        "config": "Show an example of the settings, check them, show what counts.",
        "env": "Print what the `temporal` command needs to reach this server.",
        "completion": "Print what makes bash, zsh or fish complete command lines.",
    },
    "Keys and caches": {
        "key": "List, add and remove passwords.",
        "encryption": "Make keys for payload encryption, and show which there are.",
        "cache": "Show what this host keeps of repositories at a distance, and clean it.",
    },
}
"""All commands, with what `holdfast --help` says of them, under its headings."""
COMMANDS: Final[Mapping[str, str]] = {
    name: summary for commands in SECTIONS.values() for name, summary in commands.items()
}
_GC_THRESHOLD: Final = 50_000
_DEBUG_VARIABLE: Final = "HOLDFAST_DEBUG"


class _InterruptedError(HoldfastError):
    """Ctrl-C where no run was under way that could be asked to stop."""

    exit_code: ClassVar[int] = EXIT_INTERRUPTED


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Without `argv` it is this process's, which ends here."""
    if argv is not None:
        return _run(argv)
    speak_any_language()
    gc.disable()  # while modules load: they make hundreds of thousands of objects that stay
    gc.set_threshold(_GC_THRESHOLD)
    with outliving_tests():
        code = _run(sys.argv[1:])
    if "temporalio" in sys.modules:
        from holdfast.starter.host.processes import end_process  # noqa: PLC0415 - loaded by now

        end_process(code)
    return code


def _run(argv: Sequence[str]) -> int:
    arguments = list(argv)
    try:
        application = build(arguments)
        if not gc.isenabled():
            gc.freeze()
            gc.enable()
        code = application(arguments or ["--help"], prog_name="holdfast", standalone_mode=False)
        return code if isinstance(code, int) else EXIT_COMPLETE
    except (HoldfastError, typer.TyperException, typer.Abort, KeyboardInterrupt, OSError) as error:
        if os.environ.get(_DEBUG_VARIABLE):
            raise
        return _tell(error, as_json="--json" in arguments)
    except Exception as error:
        if os.environ.get(_DEBUG_VARIABLE):
            raise
        return _tell(_internal(error), as_json="--json" in arguments)


def build(arguments: Sequence[str]) -> typer.Typer:
    """The application, with those commands loaded whose names stand among the arguments.

    With `list(COMMANDS)`, it is whole: `typer.main.get_command` makes a tree of it, in which each option and each
    command has its help, and its heading as `rich_help_panel` (help.py).
    """
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        cls=PageOfCommands,
        help="Durable backup and restore: Temporal workflows over restic repositories.",
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    add_common_options(app, _show_version)
    for section, commands in SECTIONS.items():
        for name, summary in commands.items():
            if name in arguments:
                _load(app, name, section)
            else:
                app.command(name, help=summary, rich_help_panel=section)(_not_loaded)
    return app


def _load(app: typer.Typer, name: str, section: str) -> None:
    """A command's module has a function of the command's name; one with commands of its own has an `app`."""
    identifier = name.replace("-", "_")
    module = importlib.import_module(f"holdfast.starter.commands.{identifier}")
    commands: object = getattr(module, "app", None)
    if isinstance(commands, typer.Typer):
        app.add_typer(commands, name=name, cls=PageOfCommands, rich_help_panel=section)
    else:
        add_command(app, name, getattr(module, identifier), section)


def _not_loaded() -> None:
    """Stands for a command that was not called."""


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if wanted:
        say(f"holdfast {__version__}")
        raise typer.Exit


def _tell(error: BaseException, *, as_json: bool) -> int:
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        error = _InterruptedError("interrupted")
    if isinstance(error, BrokenPipeError):
        # The reader of our output has enough. Nothing more may be written, not even by the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    if not isinstance(error, HoldfastError):
        error = _usage(error) if isinstance(error, typer.TyperException) else _system(error)
    tell_error(error, as_json=as_json)
    return error.exit_code


def _usage(error: typer.TyperException) -> HoldfastError:
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", "holdfast")
    return HoldfastError(
        error.format_message().replace("\n", " "), hint=f"`{command} --help` shows what there is."
    )


def _system(error: BaseException) -> HoldfastError:
    return HoldfastError(str(error), hint=f"{_DEBUG_VARIABLE}=1 shows where.")


def _internal(error: Exception) -> HoldfastError:
    return HoldfastError(
        f"an internal error: {type(error).__name__}: {error}".replace("\n", " "),
        hint=f"{_DEBUG_VARIABLE}=1 shows where; please report it.",
    )


if __name__ == "__main__":
    sys.exit(main())

"""Writes the man page: the grammar of the command line in roff's `man` macros, and what else a page of section 1 has.

Letters beyond ASCII are written as groff and mandoc both read them, so that the file means the same in every locale.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from holdfast import __version__
from holdfast.errors import (
    EXIT_COMPLETE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_LOCKED,
    EXIT_NO_REPOSITORY,
    EXIT_PARTIAL,
    EXIT_WRONG_PASSWORD,
)
from holdfast.starter.completion.grammar import Argument, Command, Option
from holdfast.starter.shell.help import examples_of

_EXITS: Final = (
    (EXIT_COMPLETE, "Complete."),
    (EXIT_FAILED, "Failed."),
    (EXIT_PARTIAL, "Partial: some paths could not be read (backup) or written (restore)."),
    (EXIT_NO_REPOSITORY, "No repository is there."),
    (EXIT_LOCKED, "The repository is locked."),
    (EXIT_WRONG_PASSWORD, "The password is wrong, or there is none."),
    (EXIT_INTERRUPTED, "Interrupted."),
)
_VARIABLES: Final = (
    ("HOLDFAST_CONFIG", "The settings file."),
    ("HOLDFAST_STATE_DIR", "Where the journal and the embedded server's database lie."),
    ("HOLDFAST_CACHE_DIR", "Where copies of files of far repositories are kept."),
    ("HOLDFAST_DEBUG", "Show where in the program an error comes from."),
    ("RESTIC_REPOSITORY, RESTIC_REPOSITORY_FILE", "The repository, where no option names one."),
    (
        "RESTIC_PASSWORD, RESTIC_PASSWORD_FILE, RESTIC_PASSWORD_COMMAND",
        "Its password, where neither an option nor the settings say where it is.",
    ),
    ("NO_COLOR", "Write no colours."),
)
_FILES: Final = (
    (
        "~/.config/holdfast/holdfast.toml, /etc/holdfast/holdfast.toml",
        "The settings: the first that is there.",
    ),
    ("~/.local/state/holdfast", "The state directory."),
    ("~/.cache/holdfast", "The cache of repositories at a distance."),
)
_ESCAPES: Final = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}


def page(root: Command) -> str:
    """The whole page, as `holdfast.1` holds it."""
    return "\n".join(_lines(root)) + "\n"


def _lines(root: Command) -> Iterator[str]:
    yield r".\" Made by `make manual` from the commands' own options; what is changed here is lost."
    yield f'.TH HOLDFAST 1 "" "Holdfast {_text(__version__)}" "User Commands"'
    yield from (
        ".SH NAME",
        r"holdfast \- durable backup and restore: Temporal workflows over restic repositories",
    )
    yield from (".SH SYNOPSIS", r".B holdfast", r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGUMENTS\fR]")
    yield ".SH DESCRIPTION"
    yield from _paragraphs(
        "Holdfast backs up directory trees into restic repositories and restores them, as Temporal workflows that "
        "survive crashes of workers, server and host.\n\n"
        "Names of sources and repositories are those of the settings; `holdfast config example` prints a file that "
        "explains every key. `holdfast COMMAND --help` shows the options of a command, as this page does."
    )
    yield ".SH OPTIONS"
    yield "Every command takes these, before its name or after it."
    yield from _options(root.options)
    yield ".SH COMMANDS"
    for command in _leaves(root):
        yield from _command(command)
    yield ".SH EXIT STATUS"
    yield from _listed((str(number), means) for number, means in _EXITS)
    yield ".SH ENVIRONMENT"
    yield from _listed(_VARIABLES)
    yield ".SH FILES"
    yield from _listed(_FILES)
    yield from (".SH SEE ALSO", r".BR restic (1),", r".BR temporal (1)")


def _leaves(command: Command) -> Iterator[Command]:
    """The commands that do something, in the order of the help."""
    for below in command.commands.values():
        yield from _leaves(below) if below.commands else (below,)


def _command(command: Command) -> Iterator[str]:
    words = [rf"\fBholdfast {_text(command.name)}\fR", *([r"[\fIOPTIONS\fR]"] if command.options else [])]
    words += [_usage(argument) for argument in command.arguments]
    yield f".SS {_text(command.name)}"
    yield " ".join(words)
    yield from _paragraphs(command.description or command.summary)
    for argument in command.arguments:
        yield from _item(rf"\fI{_text(_bare(argument.metavar))}\fR", argument.help)
    yield from _options(command.options)
    examples = examples_of(command.name)
    if examples:
        yield from (
            ".PP",
            "Examples:",
            ".PP",
            ".RS 4",
            ".EX",
            *map(_text, examples.splitlines()),
            ".EE",
            ".RE",
        )


def _usage(argument: Argument) -> str:
    says_so = "…" in argument.metavar or argument.metavar.rstrip("]").endswith("S")
    more = " …" if argument.repeatable and not says_so else ""
    return rf"\fI{_text(argument.metavar + more)}\fR"


def _bare(metavar: str) -> str:
    return metavar[1:-1] if metavar.startswith("[") and metavar.endswith("]") else metavar


def _options(options: Iterable[Option]) -> Iterator[str]:
    group = ""
    for option in options:
        if option.group not in {"", group}:
            group = option.group
            yield from (".PP", rf"\fI{_text(group)}\fR")
        value = rf" \fI{_text(option.metavar)}\fR" if option.metavar else ""
        yield from _item(", ".join(rf"\fB{_text(name)}\fR" for name in option.names) + value, option.help)


def _listed(items: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, means in items:
        yield from _item(rf"\fB{_text(name)}\fR", means)


def _item(tag: str, means: str) -> Iterator[str]:
    yield from (".TP", tag, _line(means))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield from (".PP", _line(paragraph))


def _line(text: str) -> str:
    """A line of text: none that begins as a macro does."""
    escaped = _text(" ".join(text.split()))
    return rf"\&{escaped}" if escaped.startswith((".", r"\(aq")) else escaped


def _text(text: str) -> str:
    return "".join(
        _ESCAPES.get(letter) or (letter if letter.isascii() else rf"\[u{ord(letter):04X}]") for letter in text
    )

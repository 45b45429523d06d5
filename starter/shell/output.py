"""Commands write lines to standard output and standard error; a mistake is told in two, or one of JSON."""

import io
import itertools
import json
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Final

import typer

from holdfast.errors import EXIT_COMPLETE, HoldfastError
from holdfast.starter.shell.cells import flowed
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.screen import Screen, answer_screen
from holdfast.starter.shell.text import Drawn, harmless

_MAX_LINES: Final = 2
_BATCH: Final = 1000
_CONTROLS: Final = re.compile("[\x7f-\x9f]")
"""Those that JSON leaves as they are."""


def speak_any_language() -> None:
    """Escape what the locale has no letter for from now on, in place of an error: the run was good."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """A line of the answer."""
    typer.echo(harmless(text))


def warn(text: str) -> None:
    """A line beside the answer; on a terminal, it goes on in the next one where it is too long."""
    typer.echo("\n".join(flowed(text, screen=Screen.of(sys.stderr))), err=True)


def say_json(document: object) -> None:
    """A line of JSON."""
    _write(json_line(document).encode("utf-8", "replace"))


def tell(options: CommonOptions, document: object, lines: Iterable[str]) -> int:
    """Answer with a document for programs, or with lines for people; the exit code of what went well."""
    if options.json:
        say_json(document)
    else:
        say_flowed(lines)
    return EXIT_COMPLETE


def say_flowed(lines: Iterable[str]) -> None:
    """Lines of the answer; on a terminal, those that are too long for it go on in the next line."""
    screen = answer_screen()
    for line in lines:
        for part in flowed(line, screen=screen):
            say(part)


def tell_done(options: CommonOptions, document: object, words: str) -> int:
    """The same of what was done: people who want quiet are not told."""
    return tell(options, document, () if options.quiet else (words,))


def warn_json(document: Mapping[str, object]) -> None:
    """A line of JSON beside the answer, where restic puts errors too."""
    typer.echo(json_line(document).encode("utf-8", "replace"), err=True)


def tell_error(error: HoldfastError, *, as_json: bool) -> None:
    """Say what went wrong and what to do about it."""
    lines = [line for line in str(error).splitlines() if line.strip()][:_MAX_LINES]
    if as_json:
        warn_json({"message_type": "exit_error", "code": error.exit_code, "message": "\n".join(lines)})
        return
    screen = Screen.of(sys.stderr)
    said = "\n".join([f"Error: {lines[0] if lines else type(error).__name__}", *lines[1:]])
    first, *rest = flowed(said, screen=screen)
    warn(Drawn("\n".join([first.replace("Error", screen.painted("Error"), 1), *rest])))


def say_all(lines: Iterable[str]) -> None:
    """Many lines, a thousand at a time."""
    waiting = iter(lines)
    while batch := list(itertools.islice(waiting, _BATCH)):
        text = "\n".join(map(harmless, batch))
        _write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))


def _write(line: bytes) -> None:
    """Write all of it. Without buffers (PYTHONUNBUFFERED, as images set it) a signal makes a long write a short one."""
    stream = sys.stdout.buffer
    rest = memoryview(line + b"\n")
    while rest:
        rest = rest[stream.write(rest) :]
    stream.flush()


def json_line(document: object) -> str:
    """A document on one line, as restic writes it."""
    line = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return line if line.isprintable() else _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", line)

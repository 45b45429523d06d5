"""Lines on standard output and standard error, and how mistakes are told: two lines, or one of JSON."""

import itertools
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Final

import typer

from holdfast.errors import HoldfastError

_MAX_LINES: Final = 2
_BATCH: Final = 1000
_REVEALED: Final[dict[str, str]] = {}


def reveal(placeholder: str, text: str) -> None:
    """Write `text` where a worker's message has `placeholder` (contracts/veiled.py), from now on."""
    _REVEALED[placeholder] = text


def revealed(message: str) -> str:
    """A worker's message with the paths that this command knows."""
    for placeholder, text in _REVEALED.items():
        message = message.replace(placeholder, text)
    return message


def say(text: str) -> None:
    """A line of the answer."""
    typer.echo(text)


def warn(text: str) -> None:
    """A line beside the answer."""
    typer.echo(text, err=True)


def say_json(document: object) -> None:
    """A line of JSON."""
    _write(json_line(document))


def warn_json(document: Mapping[str, object]) -> None:
    """A line of JSON beside the answer, where restic puts errors too."""
    typer.echo(json_line(document).encode("utf-8", "replace"), err=True)


def tell_error(error: HoldfastError, *, as_json: bool) -> None:
    """Say what went wrong and what to do about it."""
    lines = [line for line in str(error).splitlines() if line.strip()][:_MAX_LINES]
    if as_json:
        warn_json({"message_type": "exit_error", "code": error.exit_code, "message": "\n".join(lines)})
        return
    warn("\n".join([f"Error: {lines[0] if lines else type(error).__name__}", *lines[1:]]))


def say_all(lines: Iterable[str]) -> None:
    """Many lines, a thousand at a time."""
    waiting = iter(lines)
    while batch := list(itertools.islice(waiting, _BATCH)):
        _write("\n".join(batch))


def _write(text: str) -> None:
    """Write all of it. Without buffers (PYTHONUNBUFFERED, as images set it) a signal makes a long write a short one."""
    stream = sys.stdout.buffer
    rest = memoryview(text.encode("utf-8", "replace") + b"\n")
    while rest:
        rest = rest[stream.write(rest) :]
    stream.flush()


def json_line(document: object) -> str:
    """A document on one line, as restic writes it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))

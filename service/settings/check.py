"""Says all that is wrong with a settings file, not only the first of it.

Reading stops at the first mistake. So it is done again without the key that was refused, or with a stand-in for it
where it has to be there, until nothing is refused. What is only refused because of that is not told.
"""

import copy
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from holdfast.errors import SettingsError
from holdfast.service.settings.file import find_settings
from holdfast.service.settings.lines import Part, dotted, line_of, parts_of
from holdfast.service.settings.load import parse, read_text, settings_of
from holdfast.service.settings.place import Trace

_MOST: Final = 1000
_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)")
_STAND_INS: Final[Mapping[str, Any]] = {
    "paths": ["/"],
    "sources": [],
    "command": ["true"],
    "file": "file",
    "cron": "0 3 * * *",
    "name": "stand-in",
}
"""For keys that have to be there and are refused. Others are names or paths, for which "/" will do."""
_NAMED: Final = frozenset(("repositories", "sources", "hooks", "systems", "drills"))
_OF_FILES: Final = re.compile(r"(.*\.)?(\w+_file|\w+_files\[\d+\])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something is wrong. key: its full name; empty where it is about the file. line: from 1, 0 where there is none."""

    key: str
    line: int
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """file: what was checked; None where there is none, and all is default."""

    file: Path | None
    problems: tuple[Problem, ...]


def check(path: Path | None, environ: Mapping[str, str]) -> Checked:
    """Look at the settings file that counts; path: the one that a person named.

    Raises:
        SettingsError: it cannot be read.
    """
    file = find_settings(path, environ)
    if file is None:
        return Checked(file=None, problems=())
    text = read_text(file)
    try:
        document = parse(text, file)
    except SettingsError as error:
        line = _LINE.search(error.message)
        return Checked(file=file, problems=(_problem(error, file, int(line[1]) if line else 0),))
    found = [*_refused(document, file, environ)]
    if not found:
        found = [*_unreadable(document, file, environ)]
    problems = [_problem(error, file, line_of(text, steps), steps) for error, steps in found]
    return Checked(file=file, problems=tuple(sorted(problems, key=lambda problem: problem.line)))


def _problem(error: SettingsError, file: Path, line: int, steps: Sequence[Part] = ()) -> Problem:
    """steps: to its key as it is written, which counts elements that were taken out meanwhile."""
    message = error.message.removeprefix(f"{file}: ").removeprefix(f"{error.key}: ")
    return Problem(key=dotted(steps), line=line, message=message, hint=error.hint)


def _refused(
    document: dict[str, Any], file: Path, environ: Mapping[str, str]
) -> Iterator[tuple[SettingsError, list[Part]]]:
    """Each refusal, with the steps to its key in the document as it stands in the file."""
    document = copy.deepcopy(document)
    taken: list[list[Part]] = []
    for _ in range(_MOST):
        try:
            settings_of(document, file, environ)
        except SettingsError as error:
            steps = parts_of(error.key, document)
            if not steps:
                yield error, []
                return
            original = _as_written(steps, taken)
            is_new = original not in taken
            if is_new:
                yield error, original
            if not _take(document, steps, again=not is_new):
                steps = _give_up(document, steps)
                if not steps:
                    return
                original = _as_written(steps, taken)
            taken.append(original)
        else:
            return


def _as_written(steps: list[Part], taken: list[list[Part]]) -> list[Part]:
    """The steps in the file as it is written: elements before this one may have been taken out of its list."""
    written: list[Part] = []
    for step in steps:
        if isinstance(step, int):
            gone = sorted(
                other[-1]
                for other in taken
                if other[:-1] == written and len(other) == len(written) + 1 and isinstance(other[-1], int)
            )
            for one in gone:
                step += one <= step  # noqa: PLW2901 - counted on
        written.append(step)
    return written


def _take(document: dict[str, Any], steps: list[Part], *, again: bool) -> bool:
    """Take the key out; one that is missing, or is missed since, gets a stand-in. Whether that was of any use."""
    holder: Any = document
    for step in steps[:-1]:
        if isinstance(holder, dict):
            holder = holder.setdefault(step, {})
        elif isinstance(holder, list) and isinstance(step, int) and step < len(holder):
            holder = holder[step]
        else:
            return False
    last = steps[-1]
    if isinstance(holder, list):
        if isinstance(last, int) and last < len(holder):
            del holder[last]
            return True
        return False
    if not isinstance(holder, dict):
        return False
    if last in holder:
        del holder[last]
        return not again
    holder[last] = _stand_in(document, str(last))
    return True


def _give_up(document: dict[str, Any], steps: list[Part]) -> list[Part]:
    """Take out what it stands in: the table of a list, or one that no other names. The steps to that, if any."""
    numbers = [number for number, step in enumerate(steps) if isinstance(step, int)]
    whole = steps[: numbers[-1] + 1] if numbers else steps[:1]
    if whole[0] in _NAMED and not numbers:
        return []
    return whole if _take(document, whole, again=False) else []


def _stand_in(document: dict[str, Any], key: str) -> Any:
    if key in {"repository", "source", "system", "drill"}:
        tables = document.get({"repository": "repositories"}.get(key, f"{key}s"))
        return next(iter(tables), "") if isinstance(tables, dict) else ""
    return copy.deepcopy(_STAND_INS.get(key, "/"))


def _unreadable(
    document: dict[str, Any], file: Path, environ: Mapping[str, str]
) -> Iterator[tuple[SettingsError, list[Part]]]:
    """Files that the settings name, and that this user cannot read."""
    trace = Trace()
    settings_of(document, file, environ, trace)
    for key, path in trace.absolute.items():
        if _OF_FILES.fullmatch(key) and not os.access(path, os.R_OK):
            why = "cannot be read by this user" if os.path.exists(path) else "is not there"
            error = SettingsError(f"the file {path} {why}", hint="Correct its path or permissions.", key=key)
            yield error, parts_of(key, document)

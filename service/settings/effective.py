"""What counts of the settings, key by key, and where each value comes from: the file, the environment, or a default.

Secrets are hidden: addresses of notices and pings, arguments of commands that print passwords, and names with passwords
in URLs.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holdfast.contracts.identity import task_queue
from holdfast.service.settings.cache import CACHE_VARIABLE
from holdfast.service.settings.file import find_settings
from holdfast.service.settings.lines import Part, line_of, parts_of
from holdfast.service.settings.load import load_settings, read_text
from holdfast.service.settings.model import Settings
from holdfast.service.settings.place import Trace
from holdfast.service.settings.state_folder import STATE_VARIABLE

HIDDEN: Final = "(hidden)"
_SECRET: Final = re.compile(r"notices\.urls|sources\..*\.ping_url")
_PRINTS_SECRET: Final = re.compile(r".*(password|credentials|key)_command")
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")
_VARIABLES: Final = {
    "state_dir": (STATE_VARIABLE, "XDG_STATE_HOME"),
    "cache.dir": (CACHE_VARIABLE, "XDG_CACHE_HOME"),
}
"""The first counts before the file, the second after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One key of a table. value: as TOML has it, paths absolute. origin: "file", "default", or the variable's name.

    line: of the file, from 1; 0 where it does not stand there.
    """

    key: str
    value: object
    origin: str
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """file: None where there is none. tables: values by the steps to the table, none for the top, as they were read."""

    file: Path | None
    tables: Mapping[tuple[Part, ...], tuple[Value, ...]]


def effective(path: Path | None, environ: Mapping[str, str]) -> Effective:
    """What counts; path: the file that a person named. Keys without any value are left out.

    Raises:
        SettingsError: something in it is wrong.
    """
    trace = Trace()
    settings = load_settings(path, environ, trace)
    file = find_settings(path, environ)
    text = "" if file is None else read_text(file)
    document, computed = tomllib.loads(text), _computed(settings)
    tables: dict[tuple[Part, ...], tuple[Value, ...]] = {}
    for name, table in trace.tables.items():
        values = []
        for key, written in table.values.items():
            full = f"{name}.{key}" if name else key
            value = _absolute(full, written, trace)
            origin = _origin(full, key in table.given, environ)
            if full in computed and (origin != "file" or full in _VARIABLES):
                value = computed[full]
            if value is not None and not _is_table(full, trace):
                line = line_of(text, parts_of(full, document)) if origin == "file" else 0
                values.append(Value(key=key, value=_shown(full, value), origin=origin, line=line))
        tables[tuple(parts_of(name, document))] = tuple(values)
    return Effective(file=file, tables=tables)


def _computed(settings: Settings) -> dict[str, object]:
    """Defaults that depend on the host, and what the environment has its say in."""
    cache = settings.cache.directory
    return {
        "state_dir": str(settings.state_dir),
        "host": settings.host,
        "worker.processes": settings.worker.processes,
        "worker.task_queue": task_queue(settings.host, ""),
        "worker.scratch_dir": str(settings.scratch_dir),
        "cache.dir": None if cache is None else str(cache),
        "journal.url": f"sqlite:///{settings.journal_path}",
    }


def _origin(key: str, is_given: bool, environ: Mapping[str, str]) -> str:  # noqa: FBT001 - one of two
    before, after = _VARIABLES.get(key, ("", ""))
    if environ.get(before):
        return before
    if is_given:
        return "file"
    return after if environ.get(after, "").startswith("/") else "default"


def _absolute(key: str, value: object, trace: Trace) -> object:
    if isinstance(value, list):
        return [trace.absolute.get(f"{key}[{number}]", one) for number, one in enumerate(value)]
    return trace.absolute.get(key, value)


def _is_table(key: str, trace: Trace) -> bool:
    """Whether it was read as a table, or tables, of its own."""
    return any(name == key or name.startswith(f"{key}[") for name in trace.tables)


def _shown(key: str, value: object) -> object:
    if isinstance(value, list):
        return [HIDDEN if _SECRET.fullmatch(key) else _shown(key, one) for one in value]
    if not isinstance(value, str):
        return value
    if _SECRET.fullmatch(key):
        return HIDDEN
    if _PRINTS_SECRET.fullmatch(key):
        program, space, _ = value.partition(" ")
        return f"{program}{space}{HIDDEN}" if space else program
    return _USER_INFO.sub(f"{HIDDEN}@", value)

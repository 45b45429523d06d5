"""Values that this host knows without asking anybody: names of the settings, runs of the journal, cached snapshots.

No password is read, no server is asked and no repository opened; settings that would be refused still tell their names.
"""

import os
import sqlite3
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from holdfast.contracts.identity import is_token, short_id
from holdfast.errors import HoldfastError
from holdfast.service.settings.file import find_settings
from holdfast.service.settings.paths import PathRules
from holdfast.service.settings.place import Place
from holdfast.service.settings.state_folder import asked_state_dir, own_state_dir
from holdfast.starter.completion.candidates import Candidate

TABLES: Final = {
    "<repositories>": "repositories",
    "<sources>": "sources",
    "<systems>": "systems",
    "<drills>": "drills",
}
_MOST: Final = 50
_RUNS: Final = (
    "SELECT run_id, kind, status, source, started_ns FROM runs WHERE status = ? OR ? = ''"
    " ORDER BY started_ns DESC LIMIT ?"
)
_SNAPSHOTS: Final = (
    "SELECT snapshot_id, source, host, started_ns FROM runs"
    " WHERE kind = 'backup' AND snapshot_id <> '' AND (repository = ? OR ? = '') ORDER BY started_ns DESC LIMIT ?"
)
_HOSTS: Final = "SELECT DISTINCT host FROM runs LIMIT ?"
_SHORT_HEX: Final = 8
_WHOLE_HEX: Final = 64
LATEST: Final = "latest"
"""As in holdfast/terms.py, which takes longer to load."""
_SQLITE: Final = "sqlite:///"


class KnownValues:
    """What is known on this host, to a person with this environment. config: the settings file that was named."""

    def __init__(self, environ: Mapping[str, str], *, config: str = "", repository: str = "") -> None:
        self._environ = environ
        self._config = config
        self._repository = repository

    def __call__(self, kind: str) -> list[Candidate]:
        """Values of a kind: as far as they are known where a place cannot be read, or is not what it should be."""
        found: list[Candidate] = []
        with suppress(
            HoldfastError, OSError, ValueError, LookupError, TypeError, AttributeError, sqlite3.Error
        ):
            found.extend(self._values(kind))
        return found

    def _values(self, kind: str) -> Iterator[Candidate]:
        match kind:
            case "<schedules>":
                yield from self._schedules()
            case "<tags>":
                tags = [table.get("tags", []) for table in self._table("sources").values()]
                yield from map(Candidate, dict.fromkeys(tag for some in tags for tag in some))
            case "<hosts>":
                yield from (Candidate(host) for (host,) in self._rows(_HOSTS))
            case "<runs>" | "<running>":
                yield from self._runs("running" if kind == "<running>" else "")
            case "<snapshots>":
                yield from self._snapshots()
            case _:
                for name, table in self._table(TABLES[kind]).items():
                    yield Candidate(name, _about(table))

    def _runs(self, status: str) -> Iterator[Candidate]:
        for run, verb, now, source, started_ns in self._rows(_RUNS, status, status):
            yield Candidate(short_id(run), f"{_moment(started_ns)} {verb}{_of(source)}, {now}")

    def _snapshots(self) -> Iterator[Candidate]:
        yield Candidate(LATEST, "the newest")
        with suppress(sqlite3.Error):  # no journal yet: the cache may know some
            for snapshot, source, host, ns in self._rows(_SNAPSHOTS, self._repository, self._repository):
                yield Candidate(snapshot[:_SHORT_HEX], f"{_moment(ns)}{_of(source)} on {host}")
        yield from map(Candidate, self._cached())

    @cached_property
    def _file(self) -> Path | None:
        return find_settings(Path(self._config).expanduser() if self._config else None, self._environ)

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return {} if self._file is None else tomllib.loads(self._file.read_text("utf-8-sig"))

    @property
    def _state_dir(self) -> Path:
        rules = PathRules.of(Path.cwd(), self._environ)
        if self._file is not None:
            rules = PathRules.of(self._file.parent, self._environ, in_file=True)
        written = str(self._settings.get("state_dir", ""))
        return own_state_dir(asked_state_dir(written, Place(file=str(self._file)), rules, self._environ))

    def _table(self, name: str) -> dict[str, dict[str, Any]]:
        """One table of tables; what is written there is not checked, and a wrong type ends in no values."""
        table = self._settings.get(name, {})
        return (
            {key: value for key, value in table.items() if isinstance(value, dict)}
            if isinstance(table, dict)
            else {}
        )

    def _schedules(self) -> Iterator[Candidate]:
        """As `schedule list` calls them: SUBJECT.NAME (control/schedules/declaration.py)."""
        for source, table in self._table("sources").items():
            yield from (_schedule(source, schedule) for schedule in table.get("schedules", []))
        drills, declared = self._table("drills"), self._settings.get("schedules", [])
        for schedule in declared if isinstance(declared, list) else []:
            drill = drills.get(schedule.get("drill", ""), {})
            subjects = (
                schedule.get("source"),
                drill.get("source"),
                schedule.get("system"),
                schedule.get("repository"),
            )
            yield _schedule(str(next(filter(None, subjects), "")), schedule)

    def _rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        """Rows of the journal's file: as it stands, without a wait for who writes; none of a journal elsewhere."""
        journal = self._settings.get("journal", {})
        url = journal.get("url", "") if isinstance(journal, dict) else ""
        if url and not url.startswith(_SQLITE):
            return []
        path = url.removeprefix(_SQLITE) or str(self._state_dir / "journal.db")
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=0)) as connection:
            return connection.execute(query, (*values, _MOST)).fetchall()

    def _cached(self) -> Iterator[str]:
        """The newest snapshots of the cache, of whichever repository: their names are their ids."""
        named = self._environ.get("HOLDFAST_CACHE_DIR") or self._table_text("cache", "dir")
        base = self._environ.get("XDG_CACHE_HOME") or os.path.join(self._environ.get("HOME", "/"), ".cache")
        folder = Path(named).expanduser() if named else Path(base) / "holdfast"
        found = [entry for place in folder.glob("*/snapshots") for entry in os.scandir(place)]
        found.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
        yield from (entry.name[:_SHORT_HEX] for entry in found[:_MOST] if len(entry.name) == _WHOLE_HEX)

    def _table_text(self, table: str, key: str) -> str:
        values = self._settings.get(table, {})
        value = values.get(key, "") if isinstance(values, dict) else ""
        return value if isinstance(value, str) else ""


def _about(table: Mapping[str, Any]) -> str:
    """A few words of a profile, from the key that says what it is of."""
    for key in ("location", "paths", "command", "sources", "source"):
        value = table.get(key)
        if value:
            return " ".join(value) if isinstance(value, list) else str(value)
    return ""


def _schedule(subject: str, schedule: Mapping[str, Any]) -> Candidate:
    kind = schedule.get("kind", "backup")
    strategy = schedule.get("strategy", "") if kind in {"backup", "system"} else ""
    when = next((f"{key} {schedule[key]}" for key in ("cron", "every", "calendar") if key in schedule), "")
    return Candidate(f"{subject}.{schedule.get('name') or strategy or kind}", f"{kind}, {when}")


def _moment(ns: str) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(int(ns) // 1_000_000_000))


def _of(source: str) -> str:
    return "" if not source or is_token(source) else f" {source}"

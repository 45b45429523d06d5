"""Where in the settings something stands, so that each mistake is told by its key.

Who wants to know what came out of a file gives its `Place` a `Trace`: each table leaves there what it says and what it
leaves to its defaults, so nobody keeps a second list of all keys.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NoReturn

from holdfast.errors import SettingsError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedTable:
    """A table as it was read. values: of all its keys, defaults too. given: the keys that stand in the file."""

    values: Mapping[str, object]
    given: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What was read. tables: by their dotted names, in the order of reading. absolute: what became of paths,
    by the full names of their keys."""

    tables: dict[str, TracedTable] = field(default_factory=dict)
    absolute: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the settings something stands: the file, and the table's dotted name ("" for the top)."""

    file: str
    table: str = ""
    trace: Trace | None = None

    def below(self, key: str) -> "Place":
        """A table inside this one."""
        return replace(self, table=self.key(key))

    def key(self, key: str) -> str:
        """The full name of a key in this table."""
        return f"{self.table}.{key}" if self.table else key

    def refuse(self, key: str, what: str, hint: str) -> NoReturn:
        """Raise the error about `key` of this table; `key` may be empty for the table itself."""
        name = self.key(key) if key else self.table
        raise SettingsError(
            f"{self.file}: {name}: {what}" if name else f"{self.file}: {what}", hint=hint, key=name
        )

    def note_table(self, values: Mapping[str, object], given: frozenset[str]) -> None:
        """Leave a trace of this table."""
        if self.trace is not None:
            self.trace.tables[self.table] = TracedTable(values=values, given=given)

    def note_path(self, key: str, absolute: str) -> None:
        """Leave a trace of what a path became."""
        if self.trace is not None:
            self.trace.absolute[self.key(key)] = absolute

    @contextmanager
    def retelling(self, key: str) -> Iterator[None]:
        """Around what refuses the value of `key` without knowing where it stands."""
        try:
            yield
        except UsageError as error:
            self.refuse(key, error.message, error.hint)

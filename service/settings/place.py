"""Where in the settings something stands, so that each mistake is told by its key."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from holdfast.errors import SettingsError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the settings something stands: the file, and the table's dotted name ("" for the top)."""

    file: str
    table: str = ""

    def below(self, key: str) -> "Place":
        """A table inside this one."""
        return Place(file=self.file, table=self.key(key))

    def key(self, key: str) -> str:
        """The full name of a key in this table."""
        return f"{self.table}.{key}" if self.table else key

    def refuse(self, key: str, what: str, hint: str) -> NoReturn:
        """Raise the error about `key` of this table; `key` may be empty for the table itself."""
        name = self.key(key) if key else self.table
        raise SettingsError(f"{self.file}: {name}: {what}" if name else f"{self.file}: {what}", hint=hint)

    @contextmanager
    def retelling(self, key: str) -> Iterator[None]:
        """Around what refuses the value of `key` without knowing where it stands."""
        try:
            yield
        except UsageError as error:
            self.refuse(key, error.message, error.hint)

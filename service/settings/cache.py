"""[cache]: where this host keeps copies of files of repositories at a distance, and how many."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from holdfast.service.settings import values
from holdfast.service.settings.document import Size, convert_table
from holdfast.service.settings.paths import PathRules
from holdfast.service.settings.place import Place
from holdfast.storage.cache import Cache

CACHE_VARIABLE: Final = "HOLDFAST_CACHE_DIR"
_DEFAULT_BYTES: Final = 4 << 30
_SMALLEST_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """directory: None where there is none. max_bytes: what it may hold; 0 for nothing."""

    directory: Path | None = None
    max_bytes: int = _DEFAULT_BYTES

    def cache(self) -> Cache | None:
        """The cache, if there is to be one. Nothing is made before the first use."""
        if self.directory is None or not self.max_bytes:
            return None
        return Cache(self.directory, self.max_bytes)


class CacheTable(msgspec.Struct, kw_only=True, frozen=True):
    """[cache]"""

    dir: str | None = None
    size: Size = "4GiB"


def cache(value: object, place: Place, rules: PathRules, environ: Mapping[str, str]) -> CacheSettings:
    """[cache]; the folder is the environment's, else the file's, else where the XDG base directories put caches. None
    where this user has no home either.

    Raises:
        SettingsError: something in it is wrong.
    """
    table = convert_table(value, CacheTable, place)
    max_bytes = values.size_bytes(place, "size", table.size)
    if 0 < max_bytes < _SMALLEST_BYTES:
        place.refuse("size", "so little is of no use", 'Write "64MiB" or more, or 0 for no cache.')
    return CacheSettings(directory=_directory(table.dir, place, rules, environ), max_bytes=max_bytes)


def _directory(
    written: str | None, place: Place, rules: PathRules, environ: Mapping[str, str]
) -> Path | None:
    named = environ.get(CACHE_VARIABLE, "")
    if named:
        here = PathRules.of(Path.cwd(), environ)
        return values.path(Place(file="environment"), CACHE_VARIABLE, named, here)
    if written is not None:
        return values.path(place, "dir", written, rules)
    folder = environ.get("XDG_CACHE_HOME", "")
    if folder.startswith("/"):
        return Path(folder) / "holdfast"
    return None if rules.home is None else rules.home / ".cache" / "holdfast"

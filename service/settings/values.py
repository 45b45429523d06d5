"""Single values of the settings, checked: sizes, durations, paths, choices. Each refusal names the key."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from holdfast.service.settings.document import Duration, Size
from holdfast.service.settings.paths import PathRules
from holdfast.service.settings.place import Place
from holdfast.service.settings.suggestions import one_of
from holdfast.units import DURATION_EXAMPLES, SIZE_EXAMPLES, parse_duration, parse_size

TextT = TypeVar("TextT", bound=str)


def size_bytes(place: Place, key: str, value: Size) -> int:
    """A size; a bare number counts bytes.

    Raises:
        SettingsError: it is none, or negative.
    """
    if isinstance(value, int):
        if value < 0:
            place.refuse(key, "a size cannot be negative", f"Write a size like {SIZE_EXAMPLES}.")
        return value
    try:
        return parse_size(value)
    except ValueError:
        place.refuse(key, "a size is expected", f"Write one like {SIZE_EXAMPLES}.")


def duration_s(place: Place, key: str, value: Duration, *, at_least_s: float = 0.0) -> float:
    """A duration; a bare number counts seconds.

    Raises:
        SettingsError: it is none, or shorter than `at_least_s`.
    """
    try:
        seconds = parse_duration(value) if isinstance(value, str) else float(value)
    except ValueError:
        place.refuse(key, "a duration is expected", f"Write one like {DURATION_EXAMPLES}.")
    # Written so that "nan", which TOML knows, is refused as well.
    if not at_least_s <= seconds < float("inf"):
        place.refuse(key, f"a duration of at least {at_least_s:g} s is expected", "Write a longer one.")
    return seconds


def path(place: Place, key: str, value: str, rules: PathRules) -> Path:
    """A path, absolute.

    Raises:
        SettingsError: it is none, or names an unknown user's home.
    """
    try:
        absolute = rules.path(value)
    except ValueError as error:
        place.refuse(key, str(error), 'Write an absolute path, or one that begins with "~/".')
    place.note_path(key, str(absolute))
    return absolute


def paths(place: Place, key: str, values: Sequence[str], rules: PathRules) -> tuple[Path, ...]:
    """Several paths, absolute; an error names the element."""
    return tuple(path(place, f"{key}[{number}]", value, rules) for number, value in enumerate(values))


def http_url(place: Place, key: str, value: str) -> str:
    """An address that can be fetched.

    Raises:
        SettingsError: it is none.
    """
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        place.refuse(key, "a URL is expected", 'Write one that begins with "https://".')
    return value


def choice(place: Place, key: str, value: str, choices: Iterable[TextT]) -> TextT:
    """One of a few words.

    Raises:
        SettingsError: it is none of them.
    """
    known = {str(one): one for one in choices}
    if value not in known:
        place.refuse(key, "not one of the known values", one_of(value, known, key))
    return known[value]


def texts(place: Place, key: str, values: Sequence[str]) -> tuple[str, ...]:
    """Several texts, none of them empty.

    Raises:
        SettingsError: one is empty.
    """
    for number, value in enumerate(values):
        if not value:
            place.refuse(
                f"{key}[{number}]", "text is expected, this is empty", "Write something, or remove it."
            )
    return tuple(values)

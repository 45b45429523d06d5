"""How fast a repository may be written and read: rates as people write them, with others at times of the day."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from holdfast.pace import RateRules, RateWindow
from holdfast.service.settings.place import Place
from holdfast.units import parse_size

NO_LIMIT: Final = "none"
SMALLEST_RATE: Final = 1024
RATE_EXAMPLES: Final = '"10MiB", "512k" or "none"'
_WINDOW: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)=(.+)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """upload: of what is written to the repository's storage, download: of what is read from it."""

    upload: RateRules = field(default_factory=RateRules)
    download: RateRules = field(default_factory=RateRules)

    def __bool__(self) -> bool:
        """Whether there is ever a limit."""
        return self.upload.limits or self.download.limits


def parse_rate(text: str) -> int:
    """Bytes per second; 0 for "none".

    Raises:
        ValueError: it is no rate, or below 1 KiB/s.
    """
    text = text.strip()
    rate = 0 if text == NO_LIMIT else parse_size(text.removesuffix("/s"))
    if text != NO_LIMIT and rate < SMALLEST_RATE:
        raise ValueError("a rate is at least 1 KiB/s")
    return rate


def limit(place: Place, key: str, written: str | Sequence[str]) -> RateRules:
    """A rate, or a list of one and of times of day with theirs: `["2MiB", "22:00-06:00=none"]`.

    Raises:
        SettingsError: one of them is none.
    """
    texts = [written] if isinstance(written, str) else list(written)
    rates = [text for text in texts if "=" not in text]
    if len(rates) > 1:
        place.refuse(key, "there are two rates", "Write one, and times of day with theirs.")
    try:
        return RateRules(
            bytes_per_second=parse_rate(rates[0]) if rates else 0,
            windows=tuple(_window(text) for text in texts if "=" in text),
        )
    except ValueError:
        place.refuse(
            key, "a rate is expected", f'Write one like {RATE_EXAMPLES}, at times of day "22:00-06:00=10MiB".'
        )


def _window(text: str) -> RateWindow:
    match = _WINDOW.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    start, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if start == end:
        raise ValueError(text)
    return RateWindow(start_minute=start, end_minute=end, bytes_per_second=parse_rate(match[5]))

"""Sizes, durations and counts as people write and read them: "16MiB", "1h30m"; "1.5 KiB", "1:02:03", "1 file"."""

import re
from typing import Final

_SIZE: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z]*)", re.ASCII)
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", re.ASCII)
_DURATION_PART: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h|d)", re.ASCII)

_BINARY: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

_BYTES_PER_STEP: Final = 1024
_SHOWN_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")

_AGE_UNITS: Final = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))

NS_PER_MS: Final = 10**6
NS_PER_S: Final = 10**9
SIZE_EXAMPLES: Final = '"16MiB", "512k" or "1.5G"'
DURATION_EXAMPLES: Final = '"20s", "500ms" or "1h30m"'


def parse_size(text: str) -> int:
    """Bytes. Units are powers of 1024 (k, K, KiB, M, MiB, …, as restic has them); with a plain B ("kB", "MB") of 1000.

    Raises:
        ValueError: `text` is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a size")
    return round(float(match["number"]) * _unit_bytes(match["unit"].lower()))


def _unit_bytes(unit: str) -> int:
    prefix = unit.removesuffix("ib").removesuffix("b")
    if prefix not in _BINARY or (unit == "ib"):
        raise ValueError("not a unit of size")
    decimal = bool(prefix) and unit.endswith("b") and not unit.endswith("ib")
    return int((1000 if decimal else 1024) ** _BINARY[prefix])


def parse_duration(text: str) -> float:
    """Seconds, from numbers with the units ms, s, m, h and d, one after the other.

    Raises:
        ValueError: `text` is no duration.
    """
    stripped = text.strip()
    if _DURATION.fullmatch(stripped) is None:
        raise ValueError("not a duration")
    return sum(float(part["number"]) * _SECONDS[part["unit"]] for part in _DURATION_PART.finditer(stripped))


def format_bytes(count: int) -> str:
    """1536 -> "1.5 KiB"."""
    if count < _BYTES_PER_STEP:
        return f"{count} B"
    value = float(count)
    for unit in _SHOWN_UNITS[1:]:
        value /= _BYTES_PER_STEP
        if value < _BYTES_PER_STEP:
            return f"{value:.1f} {unit}"
    return f"{value:,.1f} {_SHOWN_UNITS[-1]}"


def format_clock(elapsed_ns: int) -> str:
    """3723 s -> "1:02:03"."""
    minutes, seconds = divmod(max(0, elapsed_ns) // NS_PER_S, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def format_duration(elapsed_ns: int) -> str:
    """As a clock has it; below a second, milliseconds: "340 ms"."""
    if elapsed_ns >= NS_PER_S:
        return format_clock(elapsed_ns)
    return f"{max(0, elapsed_ns) // NS_PER_MS} ms"


def format_age(elapsed_ns: int) -> str:
    """The two largest units of a span of time: "3d 4h", "1h 12m", "40s"; units as `parse_duration` has them."""
    rest = max(0, elapsed_ns) // NS_PER_S
    parts: list[str] = []
    for unit, seconds in _AGE_UNITS:
        count, rest = divmod(rest, seconds)
        if count or parts:
            parts.append(f"{count}{unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0")) or "0s"


def counted(count: int, one: str, several: str = "") -> str:
    """`1 snapshot`, `2,000 snapshots`. several: where it is not the one with an s."""
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"

"""A plot of the ratios, as plain SVG: a bar for each contender and job, a line for the spread, restic at 1."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from benchmarks.jobs import JOBS
from benchmarks.results import JobResults, ratios

_BAR: Final = 12
_GAP: Final = 14
_LEFT: Final = 170
_WIDTH: Final = 560
_LIMIT: Final = 2.0
_COLOURS: Final = {
    "restic-flushed": "#999999",
    "borg": "#c9a227",
    "rustic": "#b5651d",
    "kopia": "#7a9e7e",
    "holdfast-library": "#9ecae1",
    "holdfast-service": "#3182bd",
    "holdfast-one-shot": "#08519c",
}


def plot(results: Mapping[str, JobResults]) -> str:
    """The picture."""
    body: list[str] = []
    top = 30
    shown = [name for name in _COLOURS if any(name in one.timed for one in results.values())]
    for job in JOBS:
        if job.name not in results or not results[job.name].timed:
            continue
        body.append(_text(_LEFT - 8, top + len(shown) * _BAR / 2 + 4, job.title, anchor="end"))
        for name in shown:
            body.extend(_bar(results[job.name], name, top))
            top += _BAR
        top += _GAP
    body.extend(_axis(top))
    body.extend(_legend(shown, top + 36))
    size = f'width="{_LEFT + _WIDTH + 60}" height="{top + 50}"'
    style = 'font-family="sans-serif" font-size="11"'
    inside = "\n".join(body)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{inside}\n</svg>\n'


def _bar(results: JobResults, name: str, top: float) -> Iterator[str]:
    ratio = ratios(results, name, "wall_s")
    if ratio is None:
        return
    yield f'<rect x="{_LEFT}" y="{top}" width="{_x(ratio.median)}" height="{_BAR - 2}" fill="{_COLOURS[name]}"/>'
    middle = top + (_BAR - 2) / 2
    yield f'<path d="M{_LEFT + _x(ratio.low)} {middle}H{_LEFT + _x(ratio.high)}" stroke="black"/>'
    yield _text(_LEFT + _x(max(ratio.high, ratio.median)) + 4, top + _BAR - 3, f"{ratio.median:.2f}")


def _axis(bottom: float) -> Iterator[str]:
    for tenths in range(0, int(_LIMIT * 10) + 1, 5):
        x = _LEFT + _x(tenths / 10)
        yield f'<path d="M{x} 24V{bottom}" stroke="{"#c00" if tenths == 10 else "#ddd"}"/>'
        yield _text(x, 18, "restic" if tenths == 10 else f"{tenths / 10:.1f}", anchor="middle")


def _legend(names: list[str], y: float) -> Iterator[str]:
    for number, name in enumerate(names):
        x = 10 + number * 125
        yield f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{_COLOURS[name]}"/>'
        yield _text(x + 14, y, name)


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _x(ratio: float) -> float:
    """Bars end where the picture does."""
    return round(min(ratio, _LIMIT) / _LIMIT * _WIDTH, 1)

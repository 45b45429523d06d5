"""Bar charts as inline SVG: one bar for each run, three values in three charts with the same runs in the same places.

Colours are the page's CSS classes, so that light and dark are one drawing. A bar says its value in a tooltip (`title`),
which needs no script.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 920
HEIGHT: Final = 168
_LEFT: Final = 76
_RIGHT: Final = 34
_TOP: Final = 10
_BOTTOM: Final = 26
_WIDEST_BAR: Final = 30.0
_GAP: Final = 0.28
_LINES: Final = 2
_LABEL_WIDTH: Final = 92.0
_LEAST_HEIGHT: Final = 2.0
_ROUNDING: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One run. value: None where there is nothing to show. style: a CSS class. tip: what pointing at it says."""

    value: float | None
    style: str
    tip: str
    label: str
    highlighted: bool = False


def bar_chart(
    bars: Sequence[Bar], *, title: str, steps: Callable[[float], float], name: Callable[[float], str]
) -> str:
    """The chart. steps: the next round value above one, for the scale. name: a value in words, for the axis."""
    highest = max((bar.value for bar in bars if bar.value is not None), default=0.0)
    top = steps(highest) if highest > 0 else 1.0
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
    ]
    for line in range(_LINES + 1):
        value = top * line / _LINES
        y = _y(value, top)
        style = "axis" if line == 0 else "grid"
        parts.append(f'<line class="{style}" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        text = name(value) if highest > 0 or line == 0 else ""
        parts.append(f'<text class="scale" x="{_LEFT - 10}" y="{y + 4:.1f}">{escape(text)}</text>')
    slot = (WIDTH - _LEFT - _RIGHT) / max(1, len(bars))
    width = min(_WIDEST_BAR, slot * (1 - _GAP))
    labelled = _labelled(len(bars), slot)
    for number, bar in enumerate(bars):
        centre = _LEFT + slot * (number + 0.5)
        parts.append(_bar(bar, centre, width, slot, top))
        if number in labelled:
            parts.append(f'<text class="moment" x="{centre:.1f}" y="{HEIGHT - 6}">{escape(bar.label)}</text>')
    parts.append("</svg>")
    return "\n".join(parts)


def round_bytes(value: float) -> float:
    """1, 2, 4 … 512 of the unit that fits, at or above `value`."""
    return float(2 ** math.ceil(math.log2(value))) if value > 1 else 1.0


def round_seconds(value: float) -> float:
    """A number of seconds, minutes, hours or days that people count in, at or above `value`."""
    known = (
        0.2,
        1,
        2,
        4,
        10,
        20,
        30,
        60,
        120,
        300,
        600,
        1200,
        1800,
        3600,
        5400,
        7200,
        14_400,
        21_600,
        43_200,
        86_400,
    )
    return next((step for step in known if step >= value), math.ceil(value / 86_400) * 86_400.0)


def round_percent(value: float) -> float:
    """1, 2 or 5 times a power of ten, at or above `value` (a share of 1), at most the whole."""
    power = 10.0 ** math.floor(math.log10(value))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value * (1 - 1e-9))
    return min(1.0, step) if value <= 1 else step


def _bar(bar: Bar, centre: float, width: float, slot: float, top: float) -> str:
    """The bar, above a column of the chart's full height that takes the pointer where the bar is low or absent."""
    column = (
        f'<rect class="reach" x="{centre - slot / 2:.1f}" y="{_TOP}" width="{slot:.1f}" '
        f'height="{HEIGHT - _TOP - _BOTTOM}"/>'
    )
    drawn = ""
    if bar.value is not None:
        height = max(_LEAST_HEIGHT, _y(0, top) - _y(bar.value, top))
        style = f"bar {bar.style}{' this' if bar.highlighted else ''}"
        drawn = f'<path class="{style}" d="{_outline(centre - width / 2, width, height)}"/>'
    return f"<g><title>{escape(bar.tip)}</title>{column}{drawn}</g>"


def _outline(x: float, width: float, height: float) -> str:
    """A bar that stands on the axis, round at its upper corners."""
    foot, radius = HEIGHT - _BOTTOM, min(_ROUNDING, width / 2, height)
    return (
        f"M{x:.1f} {foot}v{-(height - radius):.1f}q0 {-radius:.1f} {radius:.1f} {-radius:.1f}"
        f"h{width - 2 * radius:.1f}q{radius:.1f} 0 {radius:.1f} {radius:.1f}v{height - radius:.1f}z"
    )


def _y(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / top


def _labelled(count: int, slot: float) -> set[int]:
    """Which bars have room for their moment below them; the last one always has."""
    every = max(1, math.ceil(_LABEL_WIDTH / slot))
    return {number for number in range(count) if (count - 1 - number) % every == 0}

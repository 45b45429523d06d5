"""Lays out a report's history: charts of the runs of the same source, and a table of the last ones."""

from html import escape
from typing import Final

from holdfast.control.drills import outcome
from holdfast.service.journal.reasons import is_sound
from holdfast.service.journal.records import RunRecord
from holdfast.starter.shell.text import local_time
from holdfast.starter.view.report import chart
from holdfast.starter.view.report.chart import Bar, bar_chart
from holdfast.starter.view.report.content import ReportContent
from holdfast.starter.view.report.parts import TONES, listing, took
from holdfast.terms import RunKind
from holdfast.units import NS_PER_S, counted, format_bytes

_LISTED_RUNS: Final = 15
_SHORT_LENGTH: Final = 8


def charts(content: ReportContent) -> str:
    history = content.history
    if len(history) < 2:
        return ""
    figures = _figures_of_drills(content) if content.run.kind is RunKind.DRILL else _figures(content)
    return (
        f"<section><h2>The last {counted(len(history), 'run')}</h2>{''.join(figures)}"
        '<div class="key"><span><i class="this"></i>this run</span>'
        '<span><i style="background:var(--quiet)"></i>complete</span>'
        '<span><i style="background:var(--warn)"></i>partial</span>'
        '<span><i style="background:var(--bad)"></i>failed</span></div></section>'
    )


def _figures_of_drills(content: ReportContent) -> list[str]:
    """Against their goals: how long everything would take, and how old the newest data was."""
    taken = [
        _bar(content, run, run.counters.get("estimated_recovery_ms", 0) / 1000 or None)
        for run in content.history
    ]
    ages = [_bar(content, run, float(run.counters.get("data_age_s", 0)) or None) for run in content.history]
    return [
        _figure(
            "Recovery",
            "how long everything would take",
            bar_chart(taken, title="Recovery time by each drill", steps=chart.round_seconds, name=_seconds),
        ),
        _figure(
            "Data age",
            "of the newest snapshot when the drill began",
            bar_chart(ages, title="Age of data at each drill", steps=chart.round_seconds, name=_seconds),
        ),
    ]


def _figures(content: ReportContent) -> list[str]:
    history = content.history
    sizes = [_bar(content, run, float(run.totals.bytes_total) or None) for run in history]
    times = [_bar(content, run, run.duration_ns / NS_PER_S if run.ended_ns else None) for run in history]
    figures = [
        _figure(
            "Size",
            "of all that was selected",
            bar_chart(sizes, title="Size of each run", steps=chart.round_bytes, name=_bytes),
        ),
        _figure(
            "Time",
            "from start to end",
            bar_chart(times, title="Duration of each run", steps=chart.round_seconds, name=_seconds),
        ),
    ]
    if content.run.kind is RunKind.BACKUP:
        rates = [_bar(content, run, _change_rate(run, number)) for number, run in enumerate(history)]
        figures.append(
            _figure(
                "Change rate",
                "new data as a share of the size; the first backup has none",
                bar_chart(rates, title="Change rate of each run", steps=chart.round_percent, name=_percent),
            )
        )
    return figures


def _figure(name: str, explanation: str, drawing: str) -> str:
    return f"<figure><figcaption><b>{name}</b>{explanation}</figcaption>{drawing}</figure>"


def _bar(content: ReportContent, run: RunRecord, value: float | None) -> Bar:
    lines = [
        f"{local_time(run.started_ns)}: {run.status.value}{f', {run.strategy}' if run.strategy else ''}",
        f"{format_bytes(run.totals.bytes_total)}, took {took(run)}",
    ]
    if run.kind is RunKind.BACKUP:
        lines.append(f"{format_bytes(run.totals.data_added)} added")
    return Bar(
        value=value,
        style=run.status.value,
        tip="\n".join(lines),
        label=local_time(run.started_ns)[5:16],
        highlighted=run.run_id == content.run.run_id,
    )


def _change_rate(run: RunRecord, number: int) -> float | None:
    """New data of a backup, as a share of its size. Everything is new in a source's first one, which says nothing."""
    first = not run.parent and number == 0
    total = run.totals.bytes_total
    if first or not run.snapshot_id or not total:
        return None
    return run.totals.data_added / total


def runs_table(content: ReportContent) -> str:
    rows = [_row(content, run) for run in list(content.history)[: -_LISTED_RUNS - 1 : -1]]
    head = (
        "<tr><th>Started</th><th>Status</th><th>Strategy</th>"
        '<th class="number">Took</th><th class="number">Size</th><th class="number">Added</th>'
        '<th class="number">Errors</th><th>Snapshot</th></tr>'
    )
    return listing("Runs of this source", head, rows, "", len(content.history))


def _tone(run: RunRecord) -> str:
    return "bad" if run.kind is RunKind.DRILL and not is_sound(run) else TONES[run.status]


def _size(run: RunRecord) -> int:
    """Of a drill, what came back."""
    return run.counters.get("bytes_restored", 0) if run.kind is RunKind.DRILL else run.totals.bytes_total


def _row(content: ReportContent, run: RunRecord) -> str:
    this = ' class="this"' if run.run_id == content.run.run_id else ""
    cells = [
        f'<td class="tight">{local_time(run.started_ns)}</td>',
        f'<td class="{_tone(run)}">{escape(outcome(run) if run.kind is RunKind.DRILL else run.status.value)}</td>',
        f"<td>{escape(run.strategy)}</td>",
        f'<td class="number">{took(run)}</td>',
        f'<td class="number">{format_bytes(_size(run))}</td>',
        f'<td class="number">{format_bytes(run.totals.data_added)}</td>',
        f'<td class="number">{run.totals.errors:,}</td>',
        f'<td class="mono">{escape(run.snapshot_id[:_SHORT_LENGTH])}</td>',
    ]
    return f"<tr{this}>{''.join(cells)}</tr>"


def _bytes(value: float) -> str:
    return format_bytes(round(value)).replace(".0 ", " ")


def _seconds(value: float) -> str:
    if value < 60:
        return f"{value:g} s"
    return f"{value / 60:g} min" if value < 7200 else f"{value / 3600:g} h"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"

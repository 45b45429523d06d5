"""Lays a report out as one HTML page: what comes from a journal is escaped, a policy forbids scripts and fetching."""

from collections.abc import Sequence
from html import escape
from typing import Final

from holdfast import __version__
from holdfast.control import records
from holdfast.service.journal.records import RunRecord
from holdfast.starter.shell.text import local_time, printable
from holdfast.starter.view.details import verdict_words
from holdfast.starter.view.report import chart
from holdfast.starter.view.report.chart import Bar, bar_chart
from holdfast.starter.view.report.content import ReportContent
from holdfast.starter.view.report.style import CSS
from holdfast.terms import RunKind, RunStatus
from holdfast.units import NS_PER_S, counted, format_bytes, format_duration

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_LISTED_RUNS: Final = 15
_SHORT_LENGTH: Final = 8
_TONES: Final = {
    RunStatus.COMPLETE: "good",
    RunStatus.PARTIAL: "warn",
    RunStatus.FAILED: "bad",
    RunStatus.CANCELLED: "plain",
    RunStatus.RUNNING: "plain",
}


def render_page(content: ReportContent) -> str:
    """The page. The same content gives the same page."""
    run = content.run
    title = f"{run.kind.value.capitalize()} of {content.subject}"
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}: {run.status.value}</title><style>{CSS}</style></head><body><main>",
        _header(content, title),
        _tiles(content),
        _failure(run),
        _verification(run),
        _wrong(content),
        _charts(content),
        _changes(content),
        _details(content),
        _runs(content),
        f"<footer>Holdfast {__version__} · from the journal, times of this host</footer>",
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _header(content: ReportContent, title: str) -> str:
    run = content.run
    damaged = run.verdict is not None and not run.verdict.ok
    tone, word = ("bad", "damage found") if damaged else (_TONES[run.status], run.status.value)
    asked = " ".join(filter(None, (run.trigger_kind, run.trigger_by)))
    lead = f"{local_time(run.started_ns)}, {_took(run)}"
    lead += f", asked by {asked}" if asked else ""
    return (
        f'<header><p class="eyebrow">{escape(content.repository)} · {escape(run.host)}</p>'
        f'<h1>{escape(title)}<span class="badge {tone}">{word}</span></h1>'
        f'<p class="lead">{escape(lead)}</p></header>'
    )


def _tiles(content: ReportContent) -> str:
    run, counters = content.run, content.run.counters
    tiles = [
        _tile("Took", _took(run)),
        _tile("Size", format_bytes(run.totals.bytes_total), counted(run.totals.files, "file")),
    ]
    if run.kind is RunKind.BACKUP:
        stored, selected = run.totals.data_added_packed, run.selected
        tiles += [
            _tile("Added", format_bytes(run.totals.data_added), f"{format_bytes(stored)} stored"),
            _tile(
                "New / changed",
                f"{selected.files_new:,} / {selected.files_changed:,}",
                f"{selected.files_unmodified:,} unmodified",
            ),
        ]
    if run.kind is RunKind.RESTORE:
        tiles.append(
            _tile(
                "Written",
                format_bytes(counters.get("bytes_written", 0)),
                counted(counters.get("files_written", 0), "file"),
            )
        )
    errors = max(run.totals.errors, content.files.wrong_count)
    tiles.append(_tile("Errors", f"{errors:,}", "paths", tone="bad" if errors else "good"))
    tiles.append(_verdict_tile(run))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _verdict_tile(run: RunRecord) -> str:
    verdict = run.verdict
    if verdict is None:
        return _tile("Verification", "none", tone="warn" if run.snapshot_id else "")
    if verdict.ok:
        return _tile("Verification", "good", f"level: {verdict.level}", tone="good")
    return _tile(
        "Verification", counted(verdict.problem_count, "problem"), f"level: {verdict.level}", tone="bad"
    )


def _tile(name: str, value: str, more: str = "", *, tone: str = "") -> str:
    below = f'<div class="more">{escape(more)}</div>' if more else ""
    return (
        f'<div class="tile {tone}"><div class="name">{escape(name)}</div>'
        f'<div class="value">{escape(value)}</div>{below}</div>'
    )


def _failure(run: RunRecord) -> str:
    if run.status is not RunStatus.FAILED:
        return ""
    return (
        f'<section class="alarm"><h2>The run failed</h2><p>It ended with <span class="mono">'
        f"{escape(run.failure_kind or 'an error')}</span>. What it had stored is kept.</p></section>"
    )


def _verification(run: RunRecord) -> str:
    if run.verdict is None or run.verdict.ok:
        return ""
    rows = [f'<tr><td class="path">{escape(problem)}</td></tr>' for problem in run.verdict.problems[:200]]
    return _listing(
        f"The verification found {counted(run.verdict.problem_count, 'problem')}",
        "",
        rows,
        "alarm",
        len(rows),
    )


def _wrong(content: ReportContent) -> str:
    files = content.files
    rows = [
        f'<tr><td class="bad tight">{file.action.value}</td>'
        f'<td class="path">{escape(printable(file.path))}</td><td>{escape(file.message)}</td></tr>'
        for file in files.wrong
    ]
    head = "<tr><th>What</th><th>Path</th><th>Why</th></tr>"
    return _listing(
        f"{counted(files.wrong_count, 'path')} went wrong", head, rows, "notice", files.wrong_count
    )


def _changes(content: ReportContent) -> str:
    files = content.files
    rows = [
        f'<tr><td class="tight">{file.action.value}</td><td class="path">{escape(printable(file.path))}</td>'
        f'<td class="number">{format_bytes(file.size_bytes)}</td></tr>'
        for file in files.largest
    ]
    told = [
        f"{count:,} {action.value} ({format_bytes(files.sizes[action])})"
        for action, count in sorted(files.counts.items())
        if action not in records.TOLD_ACTIONS
    ]
    head = '<tr><th>What</th><th>Path</th><th class="number">Size</th></tr>'
    return _listing(
        f"What happened: {', '.join(told)}", head, rows, "", sum(files.counts.values()) - files.wrong_count
    )


def _listing(title: str, head: str, rows: Sequence[str], style: str, total: int) -> str:
    if not rows:
        return ""
    more = f'<p class="lead">… and {total - len(rows):,} more</p>' if total > len(rows) else ""
    return (
        f'<section class="{style}"><h2>{escape(title)}</h2><div class="scroll"><table>{head}'
        f"{''.join(rows)}</table></div>{more}</section>"
    )


def _charts(content: ReportContent) -> str:
    history = content.history
    if len(history) < 2:
        return ""
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
    return (
        f"<section><h2>The last {len(history)} runs</h2>{''.join(figures)}"
        '<div class="key"><span><i class="this"></i>this run</span>'
        '<span><i style="background:var(--quiet)"></i>complete</span>'
        '<span><i style="background:var(--warn)"></i>partial</span>'
        '<span><i style="background:var(--bad)"></i>failed</span></div></section>'
    )


def _figure(name: str, explanation: str, drawing: str) -> str:
    return f"<figure><figcaption><b>{name}</b>{explanation}</figcaption>{drawing}</figure>"


def _bar(content: ReportContent, run: RunRecord, value: float | None) -> Bar:
    lines = [
        f"{local_time(run.started_ns)}: {run.status.value}{f', {run.strategy}' if run.strategy else ''}",
        f"{format_bytes(run.totals.bytes_total)}, took {_took(run)}",
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


def _details(content: ReportContent) -> str:
    run = content.run
    pairs = [
        ("Strategy", f"{run.strategy}: {run.reason}" if run.reason else run.strategy),
        ("Asked by", " ".join(filter(None, (run.trigger_kind, run.trigger_by)))),
        ("Evidence", run.trigger_evidence),
        ("Snapshot", run.snapshot_id),
        ("Parent", run.parent),
        ("Ended", local_time(run.ended_ns) if run.ended_ns else ""),
        ("Verification", "" if run.verdict is None else verdict_words(run.verdict)),
        ("Run", run.run_id),
    ]
    mono = {"Snapshot", "Parent", "Run"}
    rows = [
        f"<dt>{name}</dt><dd{' class=mono' if name in mono else ''}>{escape(value)}</dd>"
        for name, value in pairs
        if value
    ]
    return f"<section><h2>Details</h2><dl>{''.join(rows)}</dl></section>"


def _runs(content: ReportContent) -> str:
    rows = [_run_row(content, run) for run in list(content.history)[: -_LISTED_RUNS - 1 : -1]]
    head = (
        "<tr><th>Started</th><th>Status</th><th>Strategy</th>"
        '<th class="number">Took</th><th class="number">Size</th><th class="number">Added</th>'
        '<th class="number">Errors</th><th>Snapshot</th></tr>'
    )
    return _listing("Runs of this source", head, rows, "", len(content.history))


def _run_row(content: ReportContent, run: RunRecord) -> str:
    this = ' class="this"' if run.run_id == content.run.run_id else ""
    cells = [
        f'<td class="tight">{local_time(run.started_ns)}</td>',
        f'<td class="{_TONES[run.status]}">{run.status.value}</td>',
        f"<td>{escape(run.strategy)}</td>",
        f'<td class="number">{_took(run)}</td>',
        f'<td class="number">{format_bytes(run.totals.bytes_total)}</td>',
        f'<td class="number">{format_bytes(run.totals.data_added)}</td>',
        f'<td class="number">{run.totals.errors:,}</td>',
        f'<td class="mono">{escape(run.snapshot_id[:_SHORT_LENGTH])}</td>',
    ]
    return f"<tr{this}>{''.join(cells)}</tr>"


def _took(run: RunRecord) -> str:
    if not run.ended_ns:
        return "under way"
    seconds = run.duration_ns / NS_PER_S
    return f"{seconds:.1f} s" if seconds < 60 else format_duration(run.duration_ns)


def _bytes(value: float) -> str:
    return format_bytes(round(value)).replace(".0 ", " ")


def _seconds(value: float) -> str:
    if value < 60:
        return f"{value:g} s"
    return f"{value / 60:g} min" if value < 7200 else f"{value / 3600:g} h"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"

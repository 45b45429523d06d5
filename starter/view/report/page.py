"""Lays a report out as one HTML page: what comes from a journal is escaped, a policy forbids scripts and fetching."""

from html import escape
from typing import Final

from holdfast import __version__
from holdfast.control import records
from holdfast.control.drills import outcome
from holdfast.service.journal.reasons import SYSTEMS, is_sound
from holdfast.service.journal.records import OutputRecord, RunRecord
from holdfast.starter.shell.text import harmless, named_time, printable
from holdfast.starter.view.details import verdict_words
from holdfast.starter.view.report.content import ReportContent
from holdfast.starter.view.report.history import charts, runs_table
from holdfast.starter.view.report.parts import TONES, listing, took
from holdfast.starter.view.report.style import CSS
from holdfast.starter.view.report.tiles import tiles_of
from holdfast.terms import RunKind, RunStatus
from holdfast.units import NS_PER_S, counted, format_bytes

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_FOUND_TITLES: Final = {
    RunKind.DRILL: "What the drill found",
    RunKind.SYSTEM_BACKUP: "Members that are not whole",
    RunKind.SYSTEM_RESTORE: "Members that are not whole",
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
        tiles_of(content),
        _reason(content),
        _verification(run),
        _hooks(content),
        _wrong(content),
        charts(content),
        _changes(content),
        _details(content),
        runs_table(content),
        f"<footer>Holdfast {__version__} · from the journal, times of this host</footer>",
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _header(content: ReportContent, title: str) -> str:
    run = content.run
    tone, word = _badge(run)
    asked = " ".join(filter(None, (run.trigger_kind, run.trigger_by)))
    lead = f"{named_time(run.started_ns)}, {took(run)}"
    lead += f", asked by {asked}" if asked else ""
    return (
        f'<header><p class="eyebrow">{escape(content.repository)} · {escape(run.host)}</p>'
        f'<h1>{escape(title)}<span class="badge {tone}">{word}</span></h1>'
        f'<p class="lead">{escape(lead)}</p></header>'
    )


def _badge(run: RunRecord) -> tuple[str, str]:
    """The colour and the word for how it ended."""
    if run.kind is RunKind.DRILL:
        tone = "plain" if run.verdict is None else ("good" if run.verdict.ok else "bad")
        return tone, outcome(run)
    if run.kind in SYSTEMS or is_sound(run):
        return TONES[run.status], run.status.value
    return "bad", "damage found"


def _reason(content: ReportContent) -> str:
    """Why the run did not end well, and what can be done; of a drill, its findings say more."""
    run, reason = content.run, content.reason
    if reason is None:
        return ""
    failed = run.status is RunStatus.FAILED or not is_sound(run)
    titles = {RunStatus.PARTIAL: "Why it is partial", RunStatus.CANCELLED: "Why it ended early"}
    title = "Why it failed" if failed else titles.get(run.status, "Why it ended so")
    kind = f' <span class="mono">({escape(run.failure_kind)})</span>' if run.failure_kind else ""
    next_step = f'<p class="lead">{escape(reason.next_step)}</p>' if reason.next_step else ""
    return (
        f'<section class="{"alarm" if failed else "notice"}"><h2>{title}</h2>'
        f"<p>{escape(reason.text)}{kind}</p>{next_step}</section>"
    )


def _hooks(content: ReportContent) -> str:
    rows = [
        f'<tr><td class="path">{escape(hook.hook)}</td><td class="tight">{escape(hook.moment)}</td>'
        f'<td class="tight {"bad" if hook.timed_out or hook.exit_code else "good"}">{escape(_hook_end(hook))}</td>'
        f'<td class="number">{max(0, hook.ended_ns - hook.started_ns) / NS_PER_S:.1f} s</td>'
        f"<td><pre>{escape(harmless(hook.output))}</pre></td></tr>"
        for hook in content.hooks
    ]
    head = (
        '<tr><th>Hook</th><th>When</th><th>End</th><th class="number">Took</th><th>What it printed</th></tr>'
    )
    return listing("Hooks", head, rows, "", len(rows))


def _hook_end(hook: OutputRecord) -> str:
    return "ran out of time" if hook.timed_out else f"exit code {hook.exit_code}"


def _verification(run: RunRecord) -> str:
    if run.verdict is None or run.verdict.ok:
        return ""
    rows = [f'<tr><td class="path">{escape(problem)}</td></tr>' for problem in run.verdict.problems[:200]]
    return listing(_FOUND_TITLES.get(run.kind, _found(run)), "", rows, "alarm", len(rows))


def _found(run: RunRecord) -> str:
    count = 0 if run.verdict is None else run.verdict.problem_count
    return f"The verification found {counted(count, 'problem')}"


def _wrong(content: ReportContent) -> str:
    files = content.files
    rows = [
        f'<tr><td class="bad tight">{file.action.value}</td>'
        f'<td class="path">{escape(printable(file.path))}</td><td>{escape(file.message)}</td></tr>'
        for file in files.wrong
    ]
    head = "<tr><th>What</th><th>Path</th><th>Why</th></tr>"
    return listing(
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
    return listing(
        f"What happened: {', '.join(told)}", head, rows, "", sum(files.counts.values()) - files.wrong_count
    )


def _details(content: ReportContent) -> str:
    run = content.run
    pairs = [
        ("Strategy", f"{run.strategy}: {run.reason}" if run.reason else run.strategy),
        ("Asked by", " ".join(filter(None, (run.trigger_kind, run.trigger_by)))),
        ("Evidence", run.trigger_evidence),
        ("Snapshot", run.snapshot_id),
        ("Parent", run.parent),
        ("Ended", named_time(run.ended_ns) if run.ended_ns else ""),
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

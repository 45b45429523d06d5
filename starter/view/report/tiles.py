"""Lays out the figures at the head of a report: of a drill its verdict, RTO and RPO, of others sizes and errors."""

from holdfast.control.drills import is_proof, outcome
from holdfast.service.journal.records import RunRecord
from holdfast.starter.view.report.content import ReportContent
from holdfast.starter.view.report.parts import tile, took
from holdfast.terms import RunKind
from holdfast.units import NS_PER_MS, NS_PER_S, counted, format_age, format_bytes


def tiles_of(content: ReportContent) -> str:
    """All of them."""
    drawn = _of_drill(content.run) if content.run.kind is RunKind.DRILL else _of_run(content)
    return f'<div class="tiles">{"".join(drawn)}</div>'


def _of_drill(run: RunRecord) -> list[str]:
    counters = run.counters
    proven, done = is_proof(run), run.verdict is not None
    recovery, age = counters.get("estimated_recovery_ms", 0) * NS_PER_MS, counters.get("data_age_s")
    return [
        tile("Verdict", "proven" if proven else "NOT PROVEN", run.reason, tone="good" if proven else "bad")
        if done
        else tile("Verdict", outcome(run)),
        tile(
            "Recovery (RTO)",
            format_age(recovery) if recovery else "not known",
            _goal(run, "rto") if recovery else "the sample is too small to tell",
            tone=_tone(run, "rto"),
        ),
        tile(
            "Data age (RPO)",
            "not known" if age is None else format_age(age * NS_PER_S),
            _goal(run, "rpo"),
            tone=_tone(run, "rpo"),
        ),
        tile(
            "Restored",
            format_bytes(counters.get("bytes_restored", 0)),
            f"{counters.get('files_restored', 0):,} of {counted(counters.get('sample_files', 0), 'file')}",
        ),
        tile(
            "Errors",
            f"{counters.get('errors', 0):,}",
            "paths",
            tone="bad" if counters.get("errors") else "good",
        ),
        tile("Took", took(run)),
    ]


def _goal(run: RunRecord, name: str) -> str:
    goal_s = run.counters.get(f"{name}_goal_s", 0)
    if not goal_s:
        return "no goal"
    met = {1: ", met", 0: ", MISSED"}.get(run.counters.get(f"{name}_met", -1), "")
    return f"goal: {format_age(goal_s * NS_PER_S)}{met}"


def _tone(run: RunRecord, name: str) -> str:
    return {1: "good", 0: "bad"}.get(run.counters.get(f"{name}_met", -1), "")


def _of_run(content: ReportContent) -> list[str]:
    run, counters = content.run, content.run.counters
    tiles = [
        tile("Took", took(run)),
        tile("Size", format_bytes(run.totals.bytes_total), counted(run.totals.files, "file")),
    ]
    if run.kind is RunKind.BACKUP:
        stored, selected = run.totals.data_added_packed, run.selected
        tiles += [
            tile("Added", format_bytes(run.totals.data_added), f"{format_bytes(stored)} stored"),
            tile(
                "New / changed",
                f"{selected.files_new:,} / {selected.files_changed:,}",
                f"{selected.files_unmodified:,} unmodified",
            ),
        ]
    if run.kind is RunKind.RESTORE:
        tiles.append(
            tile(
                "Written",
                format_bytes(counters.get("bytes_written", 0)),
                counted(counters.get("files_written", 0), "file"),
            )
        )
    errors = max(run.totals.errors, content.files.wrong_count)
    tiles.append(tile("Errors", f"{errors:,}", "paths", tone="bad" if errors else "good"))
    tiles.append(_verdict_tile(run))
    return tiles


def _verdict_tile(run: RunRecord) -> str:
    verdict = run.verdict
    if verdict is None:
        return tile("Verification", "none", tone="warn" if run.snapshot_id else "")
    if verdict.ok:
        return tile("Verification", "good", f"level: {verdict.level}", tone="good")
    return tile(
        "Verification", counted(verdict.problem_count, "problem"), f"level: {verdict.level}", tone="bad"
    )

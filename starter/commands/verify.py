"""`holdfast verify`: check snapshots in this process."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from holdfast.errors import EXIT_COMPLETE, EXIT_FAILED, SnapshotNotFoundError, UsageError
from holdfast.ids import short, to_hex
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import StoredSnapshot, find_snapshot, list_snapshots, matches
from holdfast.settings.suggestions import one_of
from holdfast.verify.report import Level, Problem, VerifyReport
from holdfast.verify.snapshot import verify_snapshot
from starter.invocation import Invocation
from starter.opening import repository_session
from starter.options import SnapshotFilterOptions
from starter.output import say, say_json, warn, warn_json
from starter.text import json_text, printable
from workflows.details import format_bytes

_LEVELS: Final = (Level.STRUCTURE.value, Level.FULL.value)
_SHOWN_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions(SnapshotFilterOptions):
    """Options of `verify`."""

    snapshots: Annotated[
        tuple[str, ...],
        typer.Argument(metavar="[SNAPSHOTS]", help="Only these; all without any.", show_default=False),
    ] = ()
    level: Annotated[str, typer.Option(metavar="LEVEL", help="structure, or full: read everything back.")] = (
        Level.STRUCTURE.value
    )


def verify(options: VerifyOptions) -> int:
    """Check snapshots: that all they refer to is there, or (full) that it can be read, decrypted and is whole."""
    if options.level not in _LEVELS:
        raise UsageError(
            f"--level: {options.level!r} is not known", hint=one_of(options.level, _LEVELS, "--level")
        )
    with repository_session(Invocation.of(options)) as session:
        problems = 0
        for stored in _chosen(session, options):
            report = asyncio.run(verify_snapshot(session, stored.id, Level(options.level)))
            problems += report.problem_count
            _tell(stored, report, options)
    if options.json:
        say_json({"message_type": "summary", "num_errors": problems})
    return EXIT_FAILED if problems else EXIT_COMPLETE


def _chosen(session: RepositorySession, options: VerifyOptions) -> list[StoredSnapshot]:
    filters = {"hosts": options.host, "paths": options.path, "tags": options.tag}
    if options.snapshots:
        return [find_snapshot(session.repository, name, **filters) for name in options.snapshots]
    found = [stored for stored in list_snapshots(session.repository) if matches(stored.snapshot, **filters)]
    if not found:
        raise SnapshotNotFoundError("there is no snapshot to verify", hint="`holdfast snapshots` lists them.")
    return found


def _tell(stored: StoredSnapshot, report: VerifyReport, options: VerifyOptions) -> None:
    if options.json:
        for problem in report.problems:
            warn_json(
                {
                    "message_type": "error",
                    "error": {"message": f"{problem.kind.value}: {problem.what}"},
                    "during": "verify",
                    "item": json_text(problem.path),
                }
            )
        say_json(
            {
                "message_type": "verified",
                "snapshot_id": to_hex(stored.id),
                "level": report.level.value,
                "ok": report.ok,
                "blobs": report.blobs,
                "packs": report.packs,
                "files": report.files,
                "bytes_read": report.bytes_read,
                "problem_count": report.problem_count,
            }
        )
        return
    for problem in report.problems[:_SHOWN_PROBLEMS]:
        warn(_line(problem))
    if report.problem_count > _SHOWN_PROBLEMS:
        warn(f"… and {report.problem_count - _SHOWN_PROBLEMS:,} more; --json lists them")
    if not options.quiet:
        found = "no problems" if report.ok else f"{report.problem_count:,} PROBLEMS"
        read = f", {format_bytes(report.bytes_read)} read" if report.level is Level.FULL else ""
        counts = f"{report.files:,} files, {report.blobs:,} blobs in {report.packs:,} packs{read}"
        say(f"snapshot {short(stored.id)}: {found} ({counts})")


def _line(problem: Problem) -> str:
    where = f", first needed by {printable(problem.path)}" if problem.path else ""
    return f"{problem.kind.value}: {problem.what}{where}"

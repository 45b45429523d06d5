"""`holdfast advise` proposes strategy, schedules and retention for a source, with reasons and cost."""

from dataclasses import asdict, dataclass
from typing import Annotated, Final

import typer

from holdfast.control.journal import open_journal
from holdfast.control.schedules.advice import Advice, Facts, Wishes
from holdfast.control.schedules.advice import advise as propose
from holdfast.control.schedules.measurements import from_runs, from_scans
from holdfast.errors import EXIT_COMPLETE, JournalUnavailableError, UsageError
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.exclude_files import resolve
from holdfast.service.settings.model import SourceProfile
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import say, say_json, warn
from holdfast.terms import RunKind
from holdfast.units import DURATION_EXAMPLES, format_bytes, parse_duration

_RUNS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviseOptions(CommonOptions):
    """Options of `advise`."""

    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A source of the settings.")]
    rpo: Annotated[str, typer.Option(metavar="TIME", help="How much work may be lost.")] = "1d"
    rto: Annotated[
        str, typer.Option(metavar="TIME", help="How long a restore may take.", show_default=False)
    ] = ""
    critical: Annotated[bool, typer.Option("--critical", help="Its loss would be a disaster.")] = False
    wait: Annotated[
        str, typer.Option(metavar="TIME", help="Between two scans, where no earlier runs tell.")
    ] = "1m"


def advise(options: AdviseOptions) -> int:
    """Propose strategy, schedules and retention; nothing is changed."""
    invocation = Invocation.of(options)
    source = resolve(invocation.settings.source(options.source), invocation.environ)
    wishes = Wishes(
        rpo_s=_duration("--rpo", options.rpo),
        rto_s=_duration("--rto", options.rto) if options.rto else None,
        critical=options.critical,
    )
    facts = from_runs(_runs(invocation, source))
    if facts is None:
        wait_s = _duration("--wait", options.wait)
        if not options.quiet:
            warn(f"too few runs are on record: scanning twice, {options.wait} apart")
        facts = from_scans(source.spec, wait_s)
    _tell(options, source, facts, propose(facts, wishes))
    return EXIT_COMPLETE


def _tell(options: AdviseOptions, source: SourceProfile, facts: Facts, advice: Advice) -> None:
    if options.json:
        say_json({"message_type": "advice", "facts": asdict(facts), **asdict(advice)})
        return
    say(advice.toml(source.name))
    for reason in advice.reasons:
        say(f"- {reason}")
    for warning in advice.warnings:
        say(f"! {warning}")
    say(
        f"Per week: reads {format_bytes(advice.read_bytes_per_week)} of the source, adds about "
        f"{format_bytes(advice.added_bytes_per_week)} to the repository, takes about "
        f"{advice.seconds_per_week / 60:.0f} minutes of reading."
    )
    say(f"Restoring everything takes about {advice.full_restore_s / 60:.0f} minutes.")


def _runs(invocation: Invocation, source: SourceProfile) -> list[RunRecord]:
    try:
        journal = open_journal(invocation.settings, invocation.environ)
        return journal.runs(
            _RUNS,
            source=source.name,
            repositories=(source.repository,),
            host=source.host
            or invocation.settings.host,  # of another host's source of that name nothing counts
            kind=RunKind.BACKUP,
        )
    except JournalUnavailableError:
        return []


def _duration(option: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise UsageError(f"{option}: {text!r} is no time", hint=f"Write one like {DURATION_EXAMPLES}.")
    return seconds

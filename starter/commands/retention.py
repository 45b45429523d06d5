"""`holdfast retention simulate` shows what policies keep: now, with the bytes, and on a calendar of the next year."""

import time
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from holdfast.retention.calendar import calendars
from holdfast.retention.documents import ForgetOrder
from holdfast.retention.forget import roots
from holdfast.retention.holds import protections
from holdfast.retention.sizes import alone_and_together, growth_of
from holdfast.service.settings.retention import rules_of
from holdfast.starter.requests.repositories import open_for_reading, repository_session
from holdfast.starter.requests.retention import decided, proofs_of, repository_and_source
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import tell
from holdfast.starter.shell.registration import add_command
from holdfast.starter.view.retention import (
    calendar_document,
    calendar_lines,
    decision_documents,
    decision_lines,
    freed_line,
)

app: Final = typer.Typer(help="Show what policies keep, now and in the next year.", no_args_is_help=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateOptions(CommonOptions):
    """Options of `retention simulate`."""

    source: Annotated[
        str, typer.Argument(metavar="[SOURCE]", help="Only this source's snapshots.", show_default=False)
    ] = ""


def simulate(options: SimulateOptions) -> int:
    """Show which snapshots stay and go by the settings, why, what that frees, and the next twelve months."""
    invocation = Invocation.of(options)
    profile, source = repository_and_source(invocation, options.source)
    repository = open_for_reading(invocation, no_lock=False, fallback=profile.name)
    now_ns = time.time_ns()
    with repository_session(repository) as session, session.hold() as held:
        proofs = proofs_of(invocation, profile)
        decision = decided(invocation, held, profile, ForgetOrder(source=source), proofs, now_ns)
        in_use = roots(held)
        going = {verdict.stored.id: verdict.stored for verdict in decision.going}
        staying = [stored for stored in in_use if stored.id not in going]
        sizes, freed = alone_and_together(held, staying, tuple(going.values()))
        known = protections(repository, in_use, proofs, now_ns)
        budget = None if source else rules_of(invocation.settings, profile.name).size_bytes
        policies = {one.group: one.policy for one in decision.groups}
        present = {one.group: [verdict.stored for verdict in one.verdicts] for one in decision.groups}
        growths = {
            group: growth_of(held, snapshots)
            for group, snapshots in present.items()
            if budget is not None or policies[group].size_bytes is not None
        }
    found = calendars(present, policies.__getitem__, known, now_ns, growths=growths, size_bytes=budget)
    shown = {group: its for group, its in found.items() if budget is not None or not policies[group].is_empty}
    groups = decision_documents(decision, sizes)
    for one, document in zip(decision.groups, groups, strict=True):
        if one.group in shown:
            document["calendar"] = calendar_document(shown[one.group])
    lines = decision_lines(decision, sizes)
    if decision.going:
        lines.append(freed_line(len(decision.going), freed))
    for group, its in shown.items():
        lines += calendar_lines(group, its)
    return tell(options, {"groups": groups, "bytes_freed": freed}, lines)


add_command(app, "simulate", simulate)

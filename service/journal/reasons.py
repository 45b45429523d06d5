"""Says why a run did not end well, and what a person can do, from its record and from how its hooks ended.

Paths in it are as the worker sent them (contracts/veiled.py). They are put back for people who may see them; a notice,
which goes through services of others, says in words what they stand for. What a user's own check printed, and findings
that name files, are no part of it: `holdfast run show` lists those.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.contracts.hooks import HookMoment, hook_words
from holdfast.contracts.identity import short_id
from holdfast.contracts.verbs import verb_of
from holdfast.service.journal.proofs import PROVEN
from holdfast.service.journal.records import OutputRecord, RunRecord
from holdfast.terms import RunKind, RunStatus
from holdfast.units import NS_PER_S, counted, format_age

_NS_PER_MS: Final = 10**6
SYSTEMS: Final = frozenset((RunKind.SYSTEM_BACKUP, RunKind.SYSTEM_RESTORE))
"""Their verdict is of their members, in words that name no path."""
_FINDINGS: Final = ("missing", "damaged", "noise", "unreadable")
_UNREAD: Final = {
    RunKind.BACKUP: ("could not be read", "unreadable"),
    RunKind.RESTORE: ("could not be restored", "failed"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a run did not end well. text: all that is known, on one line. next_step: what to do, on one; may be empty."""

    text: str
    next_step: str = ""

    @property
    def in_full(self) -> str:
        """Both, as sentences."""
        return _sentences(self.text, self.next_step) if self.next_step else self.text


def reason_of(run: RunRecord, hooks: Sequence[OutputRecord] = ()) -> Reason | None:
    """Why it did not end well; None of one that did, or goes on. hooks: how its hooks ended."""
    failed = tuple(hook_reasons(hooks))
    if run.status is RunStatus.RUNNING or (run.status is RunStatus.COMPLETE and is_sound(run)):
        return None
    if run.failure_message:
        text, _, hint = run.failure_message.partition("\n")
        return Reason(text=_line(text), next_step=_sentences(_line(hint), _goes_on(run)))
    if not is_sound(run):
        return Reason(text="; ".join(_unsound(run)), next_step=_mends(run))
    if run.status is RunStatus.CANCELLED:
        return Reason(text="it was stopped", next_step=_goes_on(run))
    if run.status is RunStatus.PARTIAL:
        return Reason(text="; ".join([*_partly(run), *failed]) or "it is partial", next_step=_looks(run))
    return Reason(text=run.failure_kind or "nobody has said why", next_step=_goes_on(run))


def is_sound(run: RunRecord) -> bool:
    """Whether nothing speaks against what it stored, restored, checked or tried."""
    return run.verdict is None or run.verdict.ok


def hook_reasons(hooks: Sequence[OutputRecord]) -> Iterator[str]:
    """A sentence for each hook that failed."""
    for hook in hooks:
        if hook.timed_out or hook.exit_code:
            yield hook_words(
                hook.hook, HookMoment(hook.moment), exit_code=hook.exit_code, timed_out=hook.timed_out
            )


def _unsound(run: RunRecord) -> Iterator[str]:
    verdict, counters = run.verdict, run.counters
    if verdict is None:
        return
    if run.kind in SYSTEMS:
        yield from verdict.problems
        return
    if run.kind is not RunKind.DRILL:
        yield f"its verification ({verdict.level}) found {counted(verdict.problem_count, 'problem')}"
        return
    if counters.get(PROVEN, 0) != 1:
        yield "nothing is proven: the trial restore or its check failed"
    if counters.get("errors"):
        yield f"{counted(counters['errors'], 'path')} could not be restored"
    if counters.get("check_exit_code"):
        yield f"the check ended with exit code {counters['check_exit_code']}"
    if counters.get("damaged_packs"):
        yield f"{counted(counters['damaged_packs'], 'pack')} damaged"
    if counters.get("rto_met") == 0 and counters.get("estimated_recovery_ms"):
        took = format_age(counters["estimated_recovery_ms"] * _NS_PER_MS)
        goal = format_age(counters.get("rto_goal_s", 0) * NS_PER_S)
        yield f"everything would be back in {took}, and the goal is {goal}"
    if counters.get("rpo_met") == 0:
        age = format_age(counters.get("data_age_s", 0) * NS_PER_S)
        goal = format_age(counters.get("rpo_goal_s", 0) * NS_PER_S)
        yield f"the newest data was {age} old, and the goal is {goal}"


def _partly(run: RunRecord) -> Iterator[str]:
    errors = run.totals.errors
    if run.kind is RunKind.GUARD:
        found = [f"{run.counters[name]:,} {name}" for name in _FINDINGS if run.counters.get(name)]
        yield from filter(None, (run.reason, ", ".join(found)))
    elif run.kind in _UNREAD and errors:
        yield f"{counted(errors, 'path')} {_UNREAD[run.kind][0]}"
    elif run.kind is RunKind.PRUNE and run.reason:
        yield run.reason


def _mends(run: RunRecord) -> str:
    """The next step after damage, or after a drill that proves nothing."""
    shows = f"`holdfast run show {short_id(run.run_id)}` lists what was found."
    if run.kind is RunKind.BACKUP or run.counters.get("damaged_packs"):
        return f"{shows} `holdfast backup --strategy full` stores again what can still be read."
    return shows


def _looks(run: RunRecord) -> str:
    """The next step after a partial end."""
    if run.kind in _UNREAD and run.totals.errors:
        action = _UNREAD[run.kind][1]
        return f"`holdfast run files {short_id(run.run_id)} --action {action}` lists them."
    return f"`holdfast run show {short_id(run.run_id)}` says more."


def _goes_on(run: RunRecord) -> str:
    """How what it has done already is used; empty where there is nothing, or nothing can go on with it."""
    resume = f"`holdfast resume {short_id(run.run_id)}`"
    if run.kind is RunKind.BACKUP:
        return f"{resume}, or the next backup, goes on from what is stored." if run.reason else ""
    return f"{resume} goes on." if run.kind is not RunKind.DRY_RUN and verb_of(run.kind).resumable else ""


def _sentences(*parts: str) -> str:
    """Parts that are there, each with a full stop."""
    return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts if part)


def _line(text: str) -> str:
    return " ".join(text.split())

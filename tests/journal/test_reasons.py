"""Why a run did not end well: the whole of it, and the next step."""

from dataclasses import replace
from typing import Final

import pytest

from holdfast.contracts.veiled import in_words
from holdfast.service.journal.reasons import Reason, reason_of
from holdfast.service.journal.records import OutputRecord, RunRecord, VerdictRecord
from holdfast.terms import RunKind, RunStatus

GOES_ON: Final = "`holdfast resume aaaa0001`, or the next backup, goes on from what is stored."
SHOWS: Final = "`holdfast run show aaaa0001` lists what was found."
RUN: Final = RunRecord(
    run_id="backup:mars:home:documents/aaaa0001",
    kind=RunKind.BACKUP,
    status=RunStatus.FAILED,
    repository="home",
    source="documents",
    reason="no earlier snapshot",
    started_ns=1,
    ended_ns=2,
)
DAMAGED: Final = VerdictRecord(level="full", ok=False, problem_count=1, problems=("blob ab: /a/path",))
FAILED_HOOK: Final = OutputRecord(hook="dump", moment="before", exit_code=3, started_ns=1, ended_ns=2)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (
            replace(RUN, failure_message="it is full\nMake room"),
            Reason(text="it is full", next_step=f"Make room. {GOES_ON}"),
        ),
        (replace(RUN, failure_message="no", reason=""), Reason(text="no")),
        (replace(RUN, status=RunStatus.CANCELLED), Reason(text="it was stopped", next_step=GOES_ON)),
        (
            replace(RUN, failure_kind="DamageFound", verdict=DAMAGED),
            Reason(
                text="its verification (full) found 1 problem",
                next_step=f"{SHOWS} `holdfast backup --strategy full` stores again what can still be read.",
            ),
        ),
        (
            replace(RUN, status=RunStatus.PARTIAL, counters={"errors": 2}),
            Reason(
                text="2 paths could not be read; the hook 'dump' before the backup failed with exit code 3",
                next_step="`holdfast run files aaaa0001 --action unreadable` lists them.",
            ),
        ),
        (
            replace(
                RUN,
                kind=RunKind.DRILL,
                status=RunStatus.COMPLETE,
                verdict=DAMAGED,
                counters={"proven": 1, "rpo_met": 0, "data_age_s": 7200, "rpo_goal_s": 3600},
            ),
            Reason(text="the newest data was 2h old, and the goal is 1h", next_step=SHOWS),
        ),
        (
            replace(
                RUN,
                kind=RunKind.GUARD,
                status=RunStatus.PARTIAL,
                reason="much of it is noise",
                counters={"missing": 2, "noise": 1},
            ),
            Reason(
                text="much of it is noise; 2 missing, 1 noise",
                next_step="`holdfast run show aaaa0001` says more.",
            ),
        ),
    ],
)
def test_the_reason_and_what_to_do(run: RunRecord, reason: Reason) -> None:
    hooks = [FAILED_HOOK] if run.kind is RunKind.BACKUP else []
    assert reason_of(run, hooks) == reason


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.COMPLETE])
def test_a_run_that_is_well_has_none(status: RunStatus) -> None:
    assert reason_of(replace(RUN, status=status)) is None


def test_what_stands_in_place_of_paths_becomes_words() -> None:
    veiled = "<root 2>: no room in <repository>, <target>, <state directory> and <path>"
    assert in_words(veiled) == (
        "path 2 of the source: no room in the repository, the target, the state directory and a path"
    )

"""Which people decided what, as records say it in their own ways."""

from dataclasses import replace

from holdfast.control.decisions import decisions
from holdfast.service.journal.records import RunRecord
from holdfast.terms import RunKind, RunStatus

RUN = RunRecord(
    run_id="guard:mars:home:docs/1",
    kind=RunKind.GUARD,
    status=RunStatus.COMPLETE,
    repository="home",
    source="docs",
    started_ns=1,
    ended_ns=2,
)
FORGET = replace(RUN, kind=RunKind.FORGET, trigger_kind="person", trigger_by="anna")


def test_decisions_of_people_and_nothing_else() -> None:
    reason = "many files are gone; missing restored by anna: the disk was wiped; damaged reported"
    runs = [
        replace(RUN, reason=reason),
        replace(RUN, kind=RunKind.PRUNE, reason="approved by ben: it is much, and it is right"),
        replace(RUN, kind=RunKind.PRUNE, reason="ben decided against it: ask again on Monday"),
        replace(FORGET, strategy="hold", reason="the audit"),
        replace(FORGET, reason="by ids"),
        replace(FORGET, trigger_kind="schedule", trigger_by="holdfast.mars.home.retention"),
        replace(
            RUN,
            kind=RunKind.BACKUP,
            status=RunStatus.CANCELLED,
            failure_message="cancelled by carl: the line was needed: now",
        ),
        replace(RUN, kind=RunKind.BACKUP, status=RunStatus.CANCELLED),
        replace(RUN, kind=RunKind.BACKUP, trigger_kind="person", trigger_by="carl"),
    ]
    assert [(one.by, one.what, one.why) for one in decisions(runs)] == [
        ("anna", "missing restored", "the disk was wiped"),
        ("ben", "approved", "it is much, and it is right"),
        ("ben", "decided against it", "ask again on Monday"),
        ("anna", "hold", "the audit"),
        ("anna", "forget", "by ids"),
        ("carl", "cancelled", "the line was needed: now"),
    ]

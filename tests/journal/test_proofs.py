"""What the journal proves of a repository that was verified whole, at once or in parts."""

from dataclasses import replace
from pathlib import Path

from holdfast.service.journal.journal import Journal
from holdfast.service.journal.proofs import proofs
from holdfast.service.journal.records import RunRecord, VerdictRecord
from holdfast.terms import RunKind, RunStatus, VerifyLevel

DAY_NS = 86_400 * 10**9
SOUND = VerdictRecord(level=VerifyLevel.FULL, ok=True)
RUN = RunRecord(
    run_id="verify",
    kind=RunKind.VERIFY,
    status=RunStatus.COMPLETE,
    repository="main",
    source="",
    host="host",
    started_ns=0,
    verdict=SOUND,
)


def test_parts_prove_what_was_there_before_the_first_of_them(tmp_path: Path) -> None:
    journal = Journal.at(tmp_path / "journal.db")

    def verified(day: int, share: str, **more: object) -> int:
        """Record a verification of that day; what is proven then, in days."""
        run = replace(RUN, run_id=f"{day} {share}", started_ns=day * DAY_NS, strategy=share)
        journal.record(replace(run, **more))  # type: ignore[arg-type]  # test data
        return proofs(journal, "main").verified_before_ns // DAY_NS

    assert [verified(day, "day/3") for day in (10, 11)] == [0, 0], "the second and the third part"
    assert verified(12, "day/3", verdict=VerdictRecord(level=VerifyLevel.FULL, ok=False)) == 0
    assert verified(13, "day/3", source="docs") == 0, "of a selection"
    assert verified(13, "1/3") == 10
    assert [verified(14, "3/3"), verified(15, "day/3")] == [10, 10]
    assert [verified(19, "2/3"), verified(20, "50%"), verified(21, "10GiB")] == [14, 14, 14]
    assert verified(17, "all") == 17

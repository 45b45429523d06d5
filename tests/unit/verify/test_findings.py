"""Findings are kept up to a bound, and counted beyond it."""

import pytest

from holdfast.restore.verify import _Findings
from holdfast.runs.progress import Stop
from holdfast.terms import VerifyLevel
from holdfast.verify.report import Problem, ProblemKind, VerifyReport
from tests.support.engine import nothing


def test_of_a_restored_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.restore.verify.MAX_PROBLEMS", 2)
    findings = _Findings(Stop(), nothing)
    for number in range(3):
        findings.problem(b"%d" % number, "differs")
    assert findings.problem_count == 3
    assert findings.problems == [(b"/0", "differs"), (b"/1", "differs")]


def test_of_a_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.verify.report.MAX_PROBLEMS", 2)
    report = VerifyReport(level=VerifyLevel.FULL)
    problems = [Problem(kind=ProblemKind.CONTENT_LOST, what=str(number)) for number in range(3)]
    for problem in problems:
        report.add(problem)
    assert (report.problem_count, report.problems) == (3, problems[:2])

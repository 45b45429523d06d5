"""What docs/contributing.md promises of a new verb holds for those that there are."""

import re
from pathlib import Path
from typing import Final

from holdfast.contracts.verbs import VERBS
from holdfast.starter.main import COMMANDS
from holdfast.starter.view.results.catalogue import view_of
from holdfast.terms import RunKind
from holdfast.workflows.catalogue import WORKFLOWS

PROJECT: Final = Path(__file__).parent.parent.parent
GUIDE: Final = (PROJECT / "docs" / "contributing.md").read_text()
OWN: Final = "copy"
"""The verb that the guide makes up."""
OF_ITS_OWN: Final = {
    "activities/cleanup.py",
    "service/journal/proofs.py",
    "service/journal/reasons.py",
    "control/standing/facts.py",
    "starter/view/report/history.py",
    "starter/view/report/page.py",
    "starter/view/report/tiles.py",
}
"""What is about drills alone, and no other verb needs: a scratch folder that one leaves when it is killed; what they
have proven, which protects snapshots and stands in `status`; and their verdict, which has a page of its own."""


def test_a_verb_changes_at_most_seven_files_of_others_and_all_are_there() -> None:
    changed = re.findall(r"^\d+\. `([^`]+)`", GUIDE, re.MULTILINE)
    assert 0 < len(changed) <= 7
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_.]*|pyproject\.toml)`", GUIDE)
    assert set(changed) <= set(named)
    assert [path for path in named if OWN not in path and not (PROJECT / path).exists()] == []


def test_the_files_that_a_verb_changes_are_those_that_name_one() -> None:
    """Where another file names a drill's workflow, activities, result or command, the guide's list is too short."""
    names = re.compile(
        r"\b(DrillWorkflow|DrillActivities|RunKind\.DRILL|DRILL_WORKFLOW|DrillResult|drill\.words)\b"
    )
    own = re.compile(r"drill")
    listed = set(re.findall(r"^\d+\. `([^`]+)`", GUIDE, re.MULTILINE)) | OF_ITS_OWN
    naming = {
        str(path.relative_to(PROJECT))
        for folder in ("activities", "contracts", "control", "holdfast", "service", "starter", "workflows")
        for path in (PROJECT / folder).rglob("*.py")
        if not own.search(path.name) and names.search(path.read_text())
    }
    assert naming - listed == set()


def test_every_verb_of_the_registry_has_a_workflow_and_every_kind_a_verb() -> None:
    names = {getattr(workflow, "__temporal_workflow_definition").name for workflow in WORKFLOWS}
    assert {verb.workflow for verb in VERBS} <= names
    assert {verb.kind for verb in VERBS} | {RunKind.DRY_RUN} == set(RunKind)
    assert len({verb.request for verb in VERBS}) == len(VERBS)
    assert all(hasattr(verb.request, name) for verb in VERBS for name in (*verb.about, *verb.required))
    assert all(callable(view_of(verb.messages).words) for verb in VERBS if verb.reports)
    assert {verb.kind.value for verb in VERBS if not verb.kind.value.startswith("system-")} <= set(COMMANDS)

"""What is put together as the id of a workflow comes apart as the same again, whatever the names are."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.contracts.identity import (
    Identity,
    is_own,
    parse_workflow_id,
    part_id,
    run_id,
    short_id,
    system_id,
    workflow_id,
    workflow_of,
)
from holdfast.terms import RunKind

_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: not name.startswith("@")
)


@given(st.sampled_from(RunKind), _names, _names, _names)
def test_names_survive(kind: RunKind, host: str, repository: str, subject: str) -> None:
    about = Identity(kind=kind, host=host, repository=repository, subject=subject)
    built = workflow_id(kind, host, repository, subject)
    assert parse_workflow_id(built) == about
    assert parse_workflow_id(part_id(built, "restore")) == about
    assert workflow_of(run_id(built, "0198")) == built
    assert parse_workflow_id(system_id(kind, host, subject)) == Identity(
        kind=kind, host=host, subject=subject
    )


def test_a_repository_with_a_colon_is_told_from_two() -> None:
    ambiguous = workflow_id(RunKind.BACKUP, "box", "a:b", "c"), workflow_id(RunKind.BACKUP, "box", "a", "b:c")
    assert ambiguous == ("backup:box:a%3Ab:c", "backup:box:a:b%3Ac")
    assert parse_workflow_id(ambiguous[0]).repository == "a:b"


def test_plain_names_stay_as_they_are() -> None:
    assert workflow_id(RunKind.BACKUP, "box", "vault", "home") == "backup:box:vault:home"
    assert system_id(RunKind.SYSTEM_BACKUP, "box", "shop") == "system-backup:box:shop"


def test_of_a_token_what_is_asked_for_is_shown() -> None:
    token = "@0123456789abcdef0123456789abcdef"
    assert workflow_id(RunKind.RESTORE, "box", "vault", token) == "restore:box:vault:@0123456789ab"


def test_ids_of_others_come_apart_as_far_as_they_go() -> None:
    assert parse_workflow_id("Restore") == Identity(kind="Restore", subject="Restore")
    assert parse_workflow_id("restore:x") == Identity(kind="restore", subject="x")
    assert parse_workflow_id("") == Identity(kind="")
    assert workflow_of("bare") == "bare"


def test_a_run_is_its_workflows_own() -> None:
    name = workflow_id(RunKind.BACKUP, "box", "vault", "home")
    assert is_own(run_id(name, "one"), name)
    assert not is_own(run_id(workflow_id(RunKind.BACKUP, "box", "vault", "home:2"), "one"), name)
    assert short_id(run_id(name, "0198f00d-12345678")) == "12345678"

"""Every field of every message has a form; what liars write into them is refused, what workers write is not."""

import dataclasses
import importlib
import pkgutil
import typing
from typing import Any

import pytest

from holdfast import contracts
from holdfast.activities.door import refusal
from holdfast.contracts.backup import BackupOpened, BackupRequest, CommitInput, TriggerInput
from holdfast.contracts.checks import check
from holdfast.contracts.common import CloseInput, RunInput, RunRef
from holdfast.contracts.forms import FORMS, misformed
from holdfast.contracts.hooks import HookInput, HookMoment, HookRef
from holdfast.contracts.identity import is_own
from holdfast.contracts.notify import WatchInput, WatchState
from holdfast.contracts.restore import RestoreRequest
from holdfast.contracts.runs import ShardInput, VerifyInput
from holdfast.contracts.system import FindInput, Member, PrepareInput
from holdfast.contracts.verify import VerifyOpened
from holdfast.terms import RunStatus, Strategy, VerifyLevel

ID = "0123456789abcdef" * 4
TOKEN = "@" + "0f" * 16
RUN = RunRef(run_id="backup:host:home:docs/1", repository="home", source="docs")
MEMBER = Member(label="db@host1", source="db", host="host1", queue="holdfast.host1")


def messages() -> dict[str, type[Any]]:
    """All dataclasses of contracts but the worker's own configuration, which comes through a pipe."""
    found: dict[str, type[Any]] = {}
    for module in pkgutil.iter_modules(contracts.__path__):
        loaded = importlib.import_module(f"holdfast.contracts.{module.name}")
        for name, value in vars(loaded).items():
            if (
                dataclasses.is_dataclass(value)
                and loaded.__name__ == value.__module__ != "holdfast.contracts.worker"
            ):
                found[name] = typing.cast("type[Any]", value)
    return found


def test_every_field_that_holds_text_has_a_form() -> None:
    lacking = [
        f"{name}.{field.name}"
        for name, message in messages().items()
        for field in dataclasses.fields(message)
        if field.name not in FORMS and _holds_text(typing.get_type_hints(message)[field.name])
    ]
    assert len(messages()) > 60
    assert lacking == []


def _holds_text(hint: Any) -> bool:
    return hint is str or any(_holds_text(part) for part in typing.get_args(hint))


@pytest.mark.parametrize(
    "message",
    [
        TriggerInput(run=RUN, request=BackupRequest(repository="home", source=TOKEN), started_ns=1),
        PrepareInput(run=RUN, member=MEMBER, snapshot_id=ID, order=TOKEN),
        FindInput(system="shop", member=MEMBER),
        VerifyOpened(snapshots=(ID, ID)),
        HookInput(run=RUN, hook=HookRef(name="freeze"), moment=HookMoment.AFTER, source="docs"),
        WatchInput(state=WatchState(seen={"docs": 1}, missed={"holdfast.h.docs.nightly": 2}), now_ns=3),
        CommitInput(
            run=RUN,
            request=BackupRequest(repository="home", source="docs", tags=("nightly", "holdfast-system:shop")),
            opened=BackupOpened(strategy=Strategy.FULL, reason="there is no earlier snapshot", parent=ID),
            started_ns=1,
            pages=1,
            shards=0,
        ),
    ],
)
def test_what_workflows_send_is_of_its_form(message: object) -> None:
    check(message)
    assert refusal([message], "backup:host:home:docs") == ""


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (
            PrepareInput(run=RUN, member=dataclasses.replace(MEMBER, label="/etc"), snapshot_id=ID),
            "member.label",
        ),
        (
            PrepareInput(run=RUN, member=dataclasses.replace(MEMBER, label="../etc"), snapshot_id=ID),
            "member.label",
        ),
        (
            PrepareInput(run=RUN, member=dataclasses.replace(MEMBER, label=".."), snapshot_id=ID),
            "member.label",
        ),
        (
            PrepareInput(run=RUN, member=dataclasses.replace(MEMBER, label="a@../b"), snapshot_id=ID),
            "member.label",
        ),
        (PrepareInput(run=RUN, member=dataclasses.replace(MEMBER, label=""), snapshot_id=ID), "member.label"),
        (PrepareInput(run=RUN, member=MEMBER, snapshot_id="latest:/home"), "snapshot_id"),
        (PrepareInput(run=RUN, member=MEMBER, snapshot_id=ID + ":/home"), "snapshot_id"),
        (PrepareInput(run=RUN, member=MEMBER, snapshot_id=ID.upper()), "snapshot_id"),
        (PrepareInput(run=RUN, member=MEMBER, snapshot_id=ID + "\n"), "snapshot_id"),
        (PrepareInput(run=RUN, member=MEMBER, snapshot_id=ID, order="@../x"), "order"),
        (VerifyOpened(snapshots=(ID, "f" * 63)), "snapshots"),
        (ShardInput(run=RUN, shard=-1), "shard"),
        (HookInput(run=RUN, hook=HookRef(name="sh -c"), moment=HookMoment.AFTER), "hook.name"),
        (
            HookInput(run=RUN, hook=HookRef(name="a", timeout_s=float("nan")), moment=HookMoment.AFTER),
            "hook.timeout_s",
        ),
        (
            HookInput(run=RUN, hook=HookRef(name="a", timeout_s=-1.0), moment=HookMoment.AFTER),
            "hook.timeout_s",
        ),
        (RunInput(run=dataclasses.replace(RUN, repository="../home")), "run.repository"),
        (RunInput(run=dataclasses.replace(RUN, source="a\0b")), "run.source"),
        (RunInput(run=dataclasses.replace(RUN, run_id="a\nb")), "run.run_id"),
        (RestoreRequest(repository="home", selection="latest"), "selection"),
        (RestoreRequest(repository="home", selection=TOKEN, to_command=TOKEN), "to_command"),
        (BackupRequest(repository="home", source="docs", tags=("a,b",)), "tags"),
        (BackupRequest(repository="home", source="docs", tags=("",)), "tags"),
        (WatchInput(state=WatchState(told={"docs": -1}), now_ns=3), "state.told"),
        (WatchInput(state=WatchState(), now_ns=1 << 63), "now_ns"),
    ],
)
def test_what_is_not_of_its_form_is_refused_by_its_field(message: object, field: str) -> None:
    assert misformed(message) == field
    with pytest.raises(ValueError, match=f"^{field}: it is not of its form"):
        check(message)


@pytest.mark.parametrize(
    ("run_id", "workflow_id", "own"),
    [
        ("backup:h:home:docs/1", "backup:h:home:docs", True),
        ("backup:h:home:docs:01a2/1", "backup:h:home:docs", True),
        ("backup:h:home:docs2/1", "backup:h:home:docs", False),
        ("backup:h:home:docs/1", "backup:h:home:docs:01a2", False),
        ("backup:h:home:docs/1", "", False),
        ("backup:h:home:docs", "backup:h:home:docs", False),
        ("", "mallory", False),
    ],
)
def test_a_workflow_speaks_for_its_own_runs_alone(run_id: str, workflow_id: str, *, own: bool) -> None:
    assert is_own(run_id, workflow_id) is own
    close = CloseInput(run=RunRef(run_id=run_id, repository="home"), status=RunStatus.COMPLETE)
    assert bool(refusal([close], workflow_id)) is not own


def test_an_activity_that_stands_alone_is_refused() -> None:
    verify = VerifyInput(run=RUN, pages=1, shards=1, snapshot_id=ID, level=VerifyLevel.FULL)
    assert refusal([verify], "") == "no run stands behind it"


def test_the_watchdog_may_remember_which_runs_wait() -> None:
    """Else each look fails, and forgets whom it has told: of overdue sources again, of runs that wait never."""
    run = "backup:mars:home:docs"
    assert (
        misformed(WatchState(waiting={run: 1}, waiting_told=(run,), told={"docs": 1}, seen={"docs": 1})) == ""
    )

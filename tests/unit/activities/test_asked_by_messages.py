"""What a message alone can have a worker do: what its settings declare, or what a document of its user's asks for."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from holdfast.activities.backup import BackupActivities
from holdfast.activities.guard import GuardActivities
from holdfast.activities.hooks import HookActivities
from holdfast.activities.recorder import Recorder
from holdfast.activities.restore import RestoreActivities
from holdfast.activities.services import Services
from holdfast.activities.system import SystemActivities
from holdfast.contracts.backup import BackupRequest, TriggerInput
from holdfast.contracts.common import CloseInput, RunRef
from holdfast.contracts.guard import CompareInput, GuardRequest
from holdfast.contracts.hooks import HookInput, HookMoment, HookRef
from holdfast.contracts.restore import RestoreRequest, RestoreTriggerInput
from holdfast.contracts.system import Member, PrepareInput
from holdfast.restore.request import RestoreOptions, SystemRestoreOrder
from holdfast.service.journal.journal import Journal
from holdfast.service.settings.guard import GuardOrder
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.passwords import PasswordBook
from holdfast.service.settings.requests import read_request, write_request
from holdfast.terms import RunStatus
from tests.support.engine import PASSWORD, EngineRun, new_session

ID: Final = "0123456789abcdef" * 4
MEMBER: Final = Member(label="docs", source="docs", host="here", queue="q")
SYSTEM_RUN: Final = RunRef(run_id="system-restore:here:shop/1", repository="", source="shop")


@pytest.fixture
def services(tmp_path: Path) -> Services:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("old")
    (tmp_path / "holdfast.toml").write_text(
        f"""
state_dir = "{tmp_path}/state"
host = "testhost"
[repositories.vault]
location = "{tmp_path}/vault"
[sources.docs]
repository = "vault"
paths = ["{tmp_path}/source"]
before = ["freeze"]
[sources.other]
repository = "vault"
paths = ["{tmp_path}"]
[hooks.freeze]
command = ["touch", "{tmp_path}/freeze"]
[hooks.idle]
command = ["touch", "{tmp_path}/idle"]
[systems.shop]
sources = ["docs"]
after = ["freeze"]
"""
    )
    settings = load_settings(tmp_path / "holdfast.toml", {})
    return Services(
        settings=settings,
        passwords=PasswordBook(given={f"{tmp_path}/vault": PASSWORD}, environ={}),
        journal=Recorder(Journal.at(settings.journal_path)),
        username="somebody",
        environ={"PATH": os.environ["PATH"]},
    )


@pytest.fixture
def backed_up(services: Services, tmp_path: Path) -> Services:
    with new_session(tmp_path / "vault") as session:
        EngineRun.of(session, tmp_path / "source").run()
    return services


def ask(activity: Any, message: object) -> Any:
    """What a worker answers, as one activity of a run."""

    async def call() -> Any:
        return await ActivityEnvironment().run(activity, message)

    return call()


@pytest.mark.parametrize(
    ("name", "moment", "source", "system", "runs"),
    [
        ("freeze", HookMoment.BEFORE, "docs", "", True),
        ("freeze", HookMoment.AFTER, "", "shop", True),
        ("freeze", HookMoment.AFTER, "docs", "", False),
        ("freeze", HookMoment.BEFORE, "other", "", False),
        ("freeze", HookMoment.BEFORE, "", "shop", False),
        ("freeze", HookMoment.BEFORE, "", "", False),
        ("idle", HookMoment.BEFORE, "docs", "", False),
    ],
)
async def test_hooks_run_for_what_declares_them(
    services: Services, tmp_path: Path, name: str, moment: HookMoment, source: str, system: str, *, runs: bool
) -> None:
    run = RunRef(run_id="backup:h:vault:x/1", repository="vault", source=source or system)
    message = HookInput(run=run, hook=HookRef(name=name), moment=moment, source=source, system=system)
    activities = HookActivities(services, ThreadPoolExecutor(1))
    if runs:
        assert (await ask(activities.run, message)).ok
    else:
        with pytest.raises(ApplicationError):
            await ask(activities.run, message)
    assert (tmp_path / name).exists() is runs


async def test_a_member_is_restored_for_a_request_of_this_host_alone(
    services: Services, tmp_path: Path
) -> None:
    state = services.settings.state_dir
    prepare = SystemActivities(services, ThreadPoolExecutor(1)).prepare
    folder = SystemRestoreOrder(system="shop", target=os.fsencode(tmp_path / "out"))
    asked = PrepareInput(
        run=SYSTEM_RUN, member=MEMBER, snapshot_id=ID, order=write_request(state, folder, once="1")
    )
    prepared = await ask(prepare, asked)
    assert read_request(state, prepared.selection, RestoreOptions) == RestoreOptions(
        snapshot=ID, target=os.fsencode(tmp_path / "out" / "docs")
    )
    assert (await ask(prepare, asked)).selection == prepared.selection  # a retry
    other = write_request(state, SystemRestoreOrder(system="other"), once="1")
    for wrong in (
        replace(asked, order="@" + "0" * 32, in_place=True),  # no request, and no other hosts
        replace(asked, order="", in_place=True),
        replace(asked, order=other, in_place=True),
        replace(asked, in_place=True),
        replace(asked, run=replace(SYSTEM_RUN, run_id="system-restore:here:shop/2")),  # used by another run
    ):
        with pytest.raises(ApplicationError):
            await ask(prepare, wrong)


async def test_a_restore_is_done_once_by_one_run(backed_up: Services, tmp_path: Path) -> None:
    state, activities = backed_up.settings.state_dir, RestoreActivities(backed_up, ThreadPoolExecutor(1))
    options = RestoreOptions(target=os.fsencode(tmp_path / "out"))
    token = write_request(state, options, once="1")
    run = RunRef(run_id="restore:h:vault:@0/1", repository="vault", source=token)
    request = RestoreRequest(repository="vault", selection=token)
    asked = RestoreTriggerInput(run=run, request=request, started_ns=1)
    with pytest.raises(ApplicationError):  # it says nothing of a command
        await ask(activities.trigger, replace(asked, request=replace(request, to_command="docs")))
    await ask(activities.trigger, asked)
    another = replace(asked, run=replace(run, run_id="restore:h:vault:@0/2"))
    with pytest.raises(ApplicationError, match="another run"):
        await ask(activities.trigger, another)
    with pytest.raises(ApplicationError, match="another run"):
        await ask(activities.close, CloseInput(run=another.run, status=RunStatus.COMPLETE))
    close = CloseInput(run=run, status=RunStatus.COMPLETE)
    await ask(activities.close, close)
    await ask(activities.close, close)  # late, or a retry
    with pytest.raises(ApplicationError, match="carried out"):
        await ask(activities.trigger, asked)


async def test_a_restore_that_was_not_ordered_once_must_be_a_schedules(
    backed_up: Services, tmp_path: Path
) -> None:
    state = backed_up.settings.state_dir
    token = write_request(state, RestoreOptions(target=os.fsencode(tmp_path / "out")))
    run = RunRef(run_id="restore:h:vault:@0/1", repository="vault", source=token)
    request = RestoreRequest(repository="vault", selection=token)
    with pytest.raises(ApplicationError, match="declare no such restore"):
        await ask(
            RestoreActivities(backed_up, ThreadPoolExecutor(1)).trigger,
            RestoreTriggerInput(run=run, request=request, started_ns=1),
        )


async def test_a_guard_takes_another_policy_from_a_document_of_its_source(backed_up: Services) -> None:
    state = backed_up.settings.state_dir
    compare = GuardActivities(backed_up, ThreadPoolExecutor(1)).compare
    own, foreign = (
        write_request(state, GuardOrder(source=source, on_missing="restore"), once="1")
        for source in ("docs", "other")
    )
    run = RunRef(run_id="guard:h:vault:docs/1", repository="vault", source="docs")
    request = GuardRequest(repository="vault", source="docs")
    found = await ask(compare, CompareInput(run=run, request=request, started_ns=1))
    assert found.on_missing == "report"
    found = await ask(compare, CompareInput(run=run, request=replace(request, order=own), started_ns=1))
    assert found.on_missing == "restore"
    with pytest.raises(ApplicationError, match="is not of the source"):
        await ask(compare, CompareInput(run=run, request=replace(request, order=foreign), started_ns=1))


async def test_tags_of_ours_are_not_taken_from_a_message(backed_up: Services) -> None:
    trigger = BackupActivities(backed_up, ThreadPoolExecutor(1)).trigger
    run = RunRef(run_id="backup:h:vault:docs/1", repository="vault", source="docs")
    request = BackupRequest(repository="vault", source="docs", tags=("holdfast-run:forged",))
    with pytest.raises(ApplicationError, match="Holdfast alone"):
        await ask(trigger, TriggerInput(run=run, request=request, started_ns=1))
    system = replace(request, tags=("holdfast-system:shop", "nightly"))
    await ask(trigger, TriggerInput(run=run, request=system, started_ns=1))

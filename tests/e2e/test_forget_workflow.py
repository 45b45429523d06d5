"""A forgetting as a run: by the settings' policy, by what a person asked, once; on record, and in the bin."""

import uuid

import pytest
from temporalio.client import Client, WorkflowFailureError

from holdfast.contracts.forget import ForgetRequest, ForgetResult
from holdfast.contracts.verbs import FORGET_WORKFLOW
from holdfast.errors import UsageError
from holdfast.file_list import FileAction
from holdfast.repository.snapshots import list_snapshots
from holdfast.retention.bin import binned_snapshots
from holdfast.retention.documents import ForgetOrder
from holdfast.retention.policy import Policy
from holdfast.service.settings.requests import write_request
from holdfast.terms import RunKind, RunStatus
from tests.e2e.test_drill_workflow import Site
from tests.support.engine import open_session
from tests.support.service import FAST, PASSWORD, Installation, running_worker
from tests.unit.workflows.running import replay


@pytest.fixture
def site(installation: Installation, client: Client) -> Site:
    made = Site(installation, client)
    text = installation.settings.read_text()
    installation.settings.write_text(text + "[sources.home.retention]\nkeep_last = 2\n")
    return made


async def test_a_policy_of_the_settings_is_carried_out_and_an_order_only_once(site: Site) -> None:
    at = site.installation
    (at.source / "file").write_bytes(b"content")
    with running_worker(site.worker_config(), log=at.log):
        backups = [(await site.backup()).snapshot_id for _ in range(4)]

        async def forget(*, source: str = "", selection: str = "") -> ForgetResult:
            handle = await site.client.start_workflow(
                FORGET_WORKFLOW,
                ForgetRequest(repository="main", source=source, selection=selection, policy=FAST),
                id=f"forget-{uuid.uuid4()}",
                task_queue=site.queue,
                result_type=ForgetResult,
            )
            result: ForgetResult = await handle.result()
            await replay(site.client, handle)
            return result

        done = await forget(source="home")
        assert (done.status, done.done.forgotten, done.opened.stays) == (RunStatus.COMPLETE, 2, 2)
        token = write_request(at.state_dir, ForgetOrder(policy=Policy(last=1)), once="1")
        assert (await forget(selection=token)).done.forgotten == 1
        with pytest.raises(WorkflowFailureError) as refused:
            await forget(selection=token)
        assert UsageError.__name__ in repr(refused.value.__cause__)

    with open_session(at.repository, PASSWORD) as session:
        assert [stored.id.hex() for stored in list_snapshots(session.repository)] == backups[-1:]
        assert [one.stored.id.hex() for one in binned_snapshots(session.repository)] == backups[:-1]
    record = site.journal.run(done.run_id)
    assert record is not None
    assert (record.kind, record.source, record.status) == (RunKind.FORGET, "home", RunStatus.COMPLETE)
    assert record.counters == {"going": 2, "stays": 2, "forgotten": 2, "spared": 0, "emptied": 0}
    assert [(file.action, file.path.decode(), file.message) for file in site.journal.files(done.run_id)] == [
        (FileAction.DELETED, f"snapshots/{snapshot}", "no rule keeps it")
        for snapshot in (backups[1], backups[0])
    ]

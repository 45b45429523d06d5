"""The one rule that says which attempt may go on: the newest, while its run is open, on any storage."""

from collections.abc import Callable

import pytest

from holdfast.backup.documents import Checkpoint
from holdfast.backup.store.checkpoints import ShardCheckpoints
from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import FencedError
from holdfast.repository.repository import Repository
from holdfast.runs.attempts import Attempt
from holdfast.runs.workspace import Workspace
from holdfast.storage.contract import Storage
from holdfast.storage.layers.retry import Retrying
from holdfast.terms import StoredTotals
from tests.support.doubles import Fault, FaultyStorage, LaggingStorage
from tests.support.engine import PASSWORD
from tests.support.memory_storage import MemoryStorage

Check = Callable[[], None]
FOR_EVER_S = 3600.0
NOTHING_YET = Checkpoint(outcomes=(), position=0, open_file=None, pending=(), packs=(), totals=StoredTotals())


def workspace_on(storage: Storage) -> Workspace:
    return Workspace(Repository.init(storage, PASSWORD, kdf=ScryptParameters.for_tests()), "run")


def of_backup(workspace: Workspace) -> Check:
    checkpoints = ShardCheckpoints(Attempt(workspace, "shard-00000003", folder="g0/"))
    checkpoints.claim()
    return lambda: checkpoints.save(NOTHING_YET)


def of_restore(workspace: Workspace) -> Check:
    attempt = Attempt(workspace, "shard-00000003")
    attempt.claim()
    return attempt.check


@pytest.fixture(params=[of_backup, of_restore])
def begin(request: pytest.FixtureRequest) -> Callable[[Workspace], Check]:
    return request.param  # type: ignore[no-any-return]


def test_only_the_newest_attempt_goes_on(begin: Callable[[Workspace], Check]) -> None:
    workspace = workspace_on(MemoryStorage())
    first = begin(workspace)
    first()
    second = begin(workspace)
    with pytest.raises(FencedError, match="newer attempt"):
        first()
    second()


def test_nobody_goes_on_when_the_run_was_closed(begin: Callable[[Workspace], Check]) -> None:
    """Also where a listing still shows what was deleted."""
    storage = LaggingStorage(MemoryStorage(), settle_s=FOR_EVER_S)
    workspace = workspace_on(storage)
    attempt = begin(workspace)
    attempt()
    workspace.delete()
    with storage.armed(), pytest.raises(FencedError, match="closed"):
        attempt()
    assert [*storage.below.list("holdfast")] == []


def test_an_attempt_whose_claim_got_no_answer_does_not_fence_itself(
    begin: Callable[[Workspace], Check],
) -> None:
    faulty = FaultyStorage(MemoryStorage())
    workspace = workspace_on(Retrying(faulty))
    faulty.faults = (Fault(frozenset({"put_new"}), folder="holdfast/", done=True),)
    with faulty:
        begin(workspace)()
    begin(workspace)()

"""Which packs a run wrote: what the verification level "written" reads back."""

from holdfast.backup.documents import CommitResult, RunKey, ShardResult
from holdfast.errors import RunStateError
from holdfast.ids import PackId
from holdfast.repository.documents import load
from holdfast.repository.session import RepositorySession


def written_packs(session: RepositorySession, key: RunKey, shards: int) -> set[PackId]:
    """The packs of all shards and those of the trees.

    Raises:
        RunStateError: the result of a shard or of the commit is gone.
        CorruptFileError: a document cannot be read.
    """
    workspace = session.workspace(key.run_id)
    committed = load(workspace, key.name("committed"), CommitResult)
    if committed is None:
        raise RunStateError("the outcome of the run's commit is gone from its workspace")
    packs = {PackId(raw) for raw in committed.packs}
    for shard in range(shards):
        result = load(workspace, key.shard(shard, "result"), ShardResult)
        if result is None:
            raise RunStateError(f"the result of shard {shard} is gone from the run's workspace")
        packs.update(PackId(raw) for raw in result.packs)
    return packs

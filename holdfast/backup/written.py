"""The packs that a run wrote: its own verification looks at them, and level "written" reads them back."""

from holdfast.backup.documents import CommitResult, RunKey, ShardResult
from holdfast.ids import PackId
from holdfast.repository.documents import load
from holdfast.repository.session import RepositorySession
from holdfast.runs.workspace import Workspace


def written_packs(session: RepositorySession, key: RunKey, shards: int) -> set[PackId]:
    """Data packs of all shards and tree packs of the commit, as far as their documents still stand."""
    workspace = Workspace(session.repository, key.run_id)
    found: set[PackId] = set()
    for shard in range(shards):
        result = load(workspace, key.shard(shard, "result"), ShardResult)
        if result is not None:
            found.update(map(PackId, result.packs))
    committed = load(workspace, key.name("committed"), CommitResult)
    if committed is not None:
        found.update(map(PackId, committed.packs))
    return found

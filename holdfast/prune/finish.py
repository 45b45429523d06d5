"""The last word of a prune: what all its parts came to, in one report."""

from holdfast.errors import RunStateError
from holdfast.prune.delete import deleted_name
from holdfast.prune.documents import REPORT, SWITCHED, Deleted, PruneReport, PruneRun, Switched
from holdfast.repository.documents import decode, load
from holdfast.runs.opening import conclude
from holdfast.runs.read_ahead import read_ahead


def finish_prune(run: PruneRun) -> PruneReport:
    """The run's report; the second call finds what the first one decided. A plan without work needs no `switch`.

    Raises:
        RunStateError: a step is missing, or its result is gone. RunClosedError: the run is over.
    """
    workspace = run.workspace
    standing = load(workspace, REPORT, PruneReport)
    if standing is not None:
        return standing
    plan = run.plan.page(0)
    results = list(run.plan.results(plan.shards))
    switched = load(workspace, SWITCHED, Switched)
    if switched is None:
        if plan.has_work:
            raise RunStateError("the index was not switched")
        return conclude(workspace, REPORT, PruneReport())
    names = [deleted_name(number) for number in range(switched.batches)]
    deleted: list[Deleted] = []
    for name, data in zip(names, read_ahead(workspace, names), strict=True):
        if data is None:
            raise RunStateError(f"a batch was not deleted ({name})")
        deleted.append(decode(data, name, Deleted))
    written_bytes = sum(result.bytes_written for result in results)
    return conclude(
        workspace,
        REPORT,
        PruneReport(
            deleted_packs=sum(one.packs for one in deleted),
            unnamed_packs=switched.unnamed,
            freed_bytes=sum(one.size_bytes for one in deleted) + switched.unnamed_bytes - written_bytes,
            written_packs=sum(result.packs_written for result in results),
            written_bytes=written_bytes,
            taken_back=switched.taken_back,
            spared=sum(one.spared for one in deleted),
            left=sum(one.left for one in deleted),
            stay=tuple(pack for result in results for pack in result.stay),
            damaged_blobs=tuple(blob for result in results for blob in result.damaged),
            alone_s=switched.alone_s,
        ),
    )

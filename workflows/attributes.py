"""Five search attributes show a run in the list of workflows.

They are readable without a worker and without a query, by anyone who may see the namespace, so they hold
names and ids and never a path: a source given on the command line appears as the token of its request file. By the
repository's alias a prune finds the runs that are to stand aside, whatever their hosts call it.
"""

from collections.abc import Sequence
from typing import Final

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from holdfast.contracts.control import PAUSED, REPOSITORY_ATTRIBUTE
from holdfast.terms import RunStatus

SOURCE: Final = SearchAttributeKey.for_keyword("HoldfastSource")
STRATEGY: Final = SearchAttributeKey.for_keyword("HoldfastStrategy")
STATUS: Final = SearchAttributeKey.for_keyword("HoldfastStatus")
SNAPSHOT: Final = SearchAttributeKey.for_keyword("HoldfastSnapshot")
REPOSITORY: Final = SearchAttributeKey.for_keyword(REPOSITORY_ATTRIBUTE)

ALL_KEYS: Final[Sequence[SearchAttributeKey[str]]] = (SOURCE, STRATEGY, STATUS, SNAPSHOT, REPOSITORY)


def show_run(
    *,
    source: str = "",
    strategy: str = "",
    status: RunStatus | None = None,
    snapshot: str = "",
    alias: str = "",
    paused: bool = False,
) -> None:
    """Upsert those that are given; a run that is paused shows that as its status."""
    updates: list[SearchAttributeUpdate[str]] = []
    if source:
        updates.append(SOURCE.value_set(source))
    if strategy:
        updates.append(STRATEGY.value_set(str(strategy)))
    if status is not None:
        updates.append(STATUS.value_set(PAUSED if paused else status.value))
    if snapshot:
        updates.append(SNAPSHOT.value_set(snapshot))
    if alias:
        updates.append(REPOSITORY.value_set(alias))
    workflow.upsert_search_attributes(updates)

"""Search attributes are created at start when the namespace does not have them.

The server's own `--search-attribute` option only works for a namespace that is not yet in its database, so
starter and worker both call this before they need the attributes.
"""

import asyncio
from typing import Final

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from holdfast.workflows.attributes import ALL_KEYS

_SETTLE_S: Final = 0.1
_SETTLE_TRIES: Final = 100


async def ensure_search_attributes(client: Client) -> None:
    """Create those of our search attributes that are missing, and wait until the server lists them.

    Raises:
        RPCError: the server refuses, or cannot be reached.
        TimeoutError: it accepts them and never shows them.
    """
    missing = await _missing(client)
    if not missing:
        return
    request = AddSearchAttributesRequest(
        namespace=client.namespace,
        search_attributes=dict.fromkeys(missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:  # another process was quicker
            raise
    for _ in range(_SETTLE_TRIES):
        if not await _missing(client):
            return
        await asyncio.sleep(_SETTLE_S)
    raise TimeoutError(f"the server took the search attributes {', '.join(missing)}, but does not list them")


async def _missing(client: Client) -> list[str]:
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return [key.name for key in ALL_KEYS if key.name not in listed.custom_attributes]

"""The service keeps its own schedules on the server: the watchdog's looks, and the daily cleanup."""

import asyncio
import logging
from typing import Final

from temporalio.service import RPCError

from holdfast.control.schedules.upkeep import ensure_upkeep
from holdfast.errors import ServerUnavailableError, SettingsError
from holdfast.service.settings.model import Settings
from holdfast.starter.host.connection import connect

_RETRY_S: Final = 10.0
_LOG: Final = logging.getLogger(__name__)


async def upkeep(settings: Settings, address: str, queue: str) -> None:
    """For a service: see to these schedules beside what it does, as soon as the server answers."""
    told = False
    while True:
        try:
            client = await connect(settings.server, address)
            await ensure_upkeep(client, settings, queue)
        except (ServerUnavailableError, SettingsError, RPCError) as error:
            if not told:
                _LOG.warning(
                    "the schedules of watchdog and cleanup have to wait: %s", str(error).partition("\n")[0]
                )
                told = True
            await asyncio.sleep(_RETRY_S)
        else:
            return

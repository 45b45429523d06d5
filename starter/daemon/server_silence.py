"""A service tells people when the Temporal server is silent for long: nothing runs then, and no workflow can say so.

Of a server of others only: the embedded one is started again by whoever owns it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from holdfast.contracts.waiting import WaitsFor
from holdfast.errors import HoldfastError
from holdfast.service.notices.delivery import tell
from holdfast.service.notices.notice import Notice, notice_of_silence
from holdfast.service.settings.model import Settings
from holdfast.service.waits import wait_for
from holdfast.starter.host.connection import try_connect
from holdfast.units import NS_PER_S

_LOOK_EVERY_S: Final = 60.0
_LOG: Final = logging.getLogger("holdfast.service")


async def tell_of_silence(settings: Settings, address: str) -> None:
    """For a service: look each minute, and send one notice for each silence of `notices.waiting_after`. Never ends."""
    after_s = settings.notices.waiting_after_s

    async def answers() -> bool:
        try:
            return await try_connect(settings.server, address) is not None
        except HoldfastError:  # it refuses us: that is an answer, and the log of the workers has it
            return True

    async def send(notice: Notice) -> None:
        _LOG.warning("the server has not answered for %.0f s", after_s)
        await asyncio.to_thread(tell, settings.notices, notice)

    await watch(settings.host, answers, send, after_s=after_s, every_s=min(_LOOK_EVERY_S, after_s))


async def watch(
    host: str,
    answers: Callable[[], Awaitable[bool]],
    send: Callable[[Notice], Awaitable[None]],
    *,
    after_s: float,
    every_s: float,
) -> None:
    """The same, of whatever answers."""
    since_ns, told = 0, False
    while True:
        if await answers():
            since_ns, told = 0, False
        elif not since_ns:
            since_ns = time.time_ns()
        elif not told and time.time_ns() - since_ns >= after_s * NS_PER_S:
            told = True
            await send(notice_of_silence(host, wait_for(WaitsFor.SERVER_AWAY), since_ns=since_ns))
        await asyncio.sleep(every_s)

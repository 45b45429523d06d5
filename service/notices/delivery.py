"""Sends notices through apprise, to each address by itself: one that is away keeps no other from being told."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.errors import SettingsError
from holdfast.service.notices.notice import Notice, NoticeEvent
from holdfast.service.settings.model import NoticeSettings
from holdfast.service.settings.text import decode_text_file

if TYPE_CHECKING:
    from apprise import Apprise

PAUSES_S: Final = (1.0, 5.0)
_MAX_FILE_BYTES: Final = 1 << 20
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How many addresses were told, and how many could not be."""

    sent: int = 0
    failed: int = 0

    def plus(self, other: "Delivery") -> "Delivery":
        """Both together."""
        return Delivery(sent=self.sent + other.sent, failed=self.failed + other.failed)


def addresses(settings: NoticeSettings) -> tuple[str, ...]:
    """apprise's URLs: those of the settings, and those of the file as it is now.

    Raises:
        SettingsError: the file cannot be read.
    """
    if settings.urls_file is None:
        return settings.urls
    try:
        with settings.urls_file.open("rb") as file:
            lines = decode_text_file(file.read(_MAX_FILE_BYTES)).splitlines()
    except OSError as error:
        raise SettingsError(
            f"the file of notices.urls_file cannot be read: {error.strerror}",
            hint=f"Create {settings.urls_file}, readable by the user that the worker runs as.",
        ) from error
    written = (line.strip() for line in lines)
    return settings.urls + tuple(line for line in written if line and not line.startswith("#"))


def tell(settings: NoticeSettings, notice: Notice | None) -> Delivery:
    """Send a notice to all who want notices of its kind. Blocks, and never raises."""
    if notice is None or notice.event.value not in settings.on:
        return Delivery()
    _LOG.info("telling: %s", notice.title)
    try:
        urls = addresses(settings)
    except SettingsError as error:
        _LOG.warning("%s", error.message)
        urls = settings.urls
    return deliver(urls, notice)


def deliver(
    urls: Sequence[str],
    notice: Notice,
    *,
    pauses_s: Sequence[float] = PAUSES_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Delivery:
    """Tell every address, those that fail again after each pause. Blocks; never raises for what an address does.

    Nothing of an address is logged but its kind and its number: it holds secrets.
    """
    from apprise import Apprise  # noqa: PLC0415 - a third of a second, which only notices need

    waiting: list[tuple[int, Apprise]] = []
    wrong = 0
    for number, url in enumerate(urls, start=1):
        address = Apprise()
        if address.add(url):
            waiting.append((number, address))
        else:
            _LOG.warning("notice address %d is none that apprise knows", number)
            wrong += 1
    usable = len(waiting)
    for pause_s in (0.0, *pauses_s):
        if not waiting:
            break
        sleep(pause_s)
        waiting = [(number, address) for number, address in waiting if not _sent(address, notice)]
    for number, address in waiting:
        kinds = ", ".join(str(service.service_name) for service in address)
        _LOG.warning("notice address %d (%s) could not be told: %s", number, kinds, notice.title)
    return Delivery(sent=usable - len(waiting), failed=wrong + len(waiting))


def _sent(address: "Apprise", notice: Notice) -> bool:
    from apprise import NotifyType  # noqa: PLC0415 (as above)

    kind = NotifyType.WARNING if notice.event is NoticeEvent.PARTIAL else NotifyType.FAILURE
    return bool(address.notify(title=notice.title, body=notice.body, notify_type=kind))

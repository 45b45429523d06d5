"""Pings a dead man's switch: a watcher elsewhere that raises the alarm when it hears nothing for too long.

The convention is that of healthchecks.io, which others follow: the URL itself says that all went well, the same with
`/fail` behind its path that something did not.
"""

import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from holdfast import __version__
from holdfast.service.notices.delivery import PAUSES_S

_TIMEOUT_S: Final = 10.0
_LOG: Final = logging.getLogger(__name__)


def ping_address(url: str, *, ok: bool) -> str:
    """The URL to fetch; what stands behind a "?" stays there."""
    if ok:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/fail"))


def ping(
    url: str,
    *,
    ok: bool,
    pauses_s: Sequence[float] = PAUSES_S,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Tell the watcher, again after each pause while it does not answer; whether it has heard. Blocks.

    url: http or https, as the settings see to. It is a secret, and is not logged.
    """
    request = urllib.request.Request(  # noqa: S310 - the settings accept http and https only
        ping_address(url, ok=ok), headers={"User-Agent": f"holdfast/{__version__}"}
    )
    reason = ""
    for pause_s in (0.0, *pauses_s):
        sleep(pause_s)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310 (as above)
                return True
        except (OSError, http.client.HTTPException) as error:
            reason = (
                f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__
            )
    _LOG.warning("the ping URL of a source does not answer: %s", reason)
    return False

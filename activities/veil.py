"""Keeps paths out of what Temporal is told about errors.

Errors of the engine name the repository's location, the restore's target, files of the repository and of the settings:
a person wants to know, and everybody who may see the namespace should not. Names that this process has resolved get
their placeholder (contracts/veiled.py); whatever else looks like an absolute path is cut out. The message as it was
goes to the worker's log.
"""

import contextlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Final

from holdfast.contracts.veiled import PATH, ROOT
from holdfast.errors import HoldfastError

_AT_LINE_START: Final = re.compile(r"^/[^\n]*?(?=: )", re.MULTILINE)
_QUOTED: Final = re.compile(r"(['\"`])/[^'\"`\n]*\1")
_BARE: Final = re.compile(r"(?<![\w:/>])/[^\s'\"`,;]+")


class Veil:
    """Texts that are private, and what is shown in their place. One for each process; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: dict[str, str] = {}

    def cover(self, private: str, shown: str) -> None:
        """From now on `shown` stands for `private`, which is longer than a slash."""
        if len(private) > 1:
            with self._lock:
                self._shown[private] = shown

    def over(self, text: str) -> str:
        """`text` without what is private."""
        with self._lock:
            known = sorted(self._shown.items(), key=lambda pair: -len(pair[0]))
        for private, shown in known:
            text = text.replace(private, shown)
        text = _AT_LINE_START.sub(PATH, text)
        text = _QUOTED.sub(rf"\1{PATH}\1", text)
        return _BARE.sub(PATH, text)


@contextlib.contextmanager
def roots_by_number(roots: Sequence[bytes]) -> Iterator[None]:
    """Have errors that come from inside call a source's roots by their places, which the command line can put back.

    For this source alone: another one may have the same path in another place.
    """
    try:
        yield
    except HoldfastError as error:
        for number, root in sorted(enumerate(roots, start=1), key=lambda one: -len(one[1])):
            whole = re.compile(rf"(?<![^\s'\"]){re.escape(os.fsdecode(root))}(?=[\s:,'\"]|\Z)")
            error.message = whole.sub(ROOT.format(number), error.message)
        raise


VEIL: Final = Veil()
"""This process's: what one activity has resolved may stand in another one's error."""

"""Says what was given by hand, for those who see the server: without a path, or with its last part, as a host allows.

The server, and who may see it, learn no path of a host by default (docs/architecture.md, "What Temporal gets to see").
`server.ui_names` is a host's word that the last parts may be known.
"""

import os
from collections.abc import Sequence
from typing import Final

_NAMED: Final = 2
_LONGEST_BYTES: Final = 120
"""A summary has at most 200."""


def called(paths: Sequence[bytes], *, openly: bool) -> str:
    """`docs, mail and 3 more`, or no name at all; on one line, at most so long that a summary can hold it."""
    if not openly:
        return "paths given by hand"
    names = [os.path.basename(os.path.normpath(path)) or b"/" for path in paths]
    said = ", ".join(name.decode(errors="replace") for name in names[:_NAMED])
    said = "".join(letter if letter.isprintable() else "\ufffd" for letter in said)
    said = said.encode()[:_LONGEST_BYTES].decode(errors="ignore")
    return said if len(names) <= _NAMED else f"{said} and {len(names) - _NAMED:,} more"

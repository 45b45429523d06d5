"""Where a REST server is, as restic spells it (internal/backend/rest/config.go), and how its names are made of ours.

`rest:https://host/path/`, `rest:http+unix:///path/of/socket:/path/`. A user may stand in it; a password must not,
because locations are shown and logged: it is one of the credentials.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from holdfast.errors import UsageError

_EXAMPLE: Final = "Write rest:https://HOST/PATH/."
_UNIX: Final = "http+unix"
_SCHEMES: Final = frozenset({"http", "https", _UNIX})
_FOLDERS: Final = frozenset({"data", "index", "keys", "locks", "snapshots"})
_FILE: Final = re.compile(r"[0-9a-f]{64}")
_CONFIG: Final = "config"
_SHARD_DIGITS: Final = 2
"""Of a pack's name, which are a folder of ours and none of the protocol's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestPlace:
    """A repository on a server. path: begins and ends with a slash. socket: of a server on this host, if it has one."""

    location: str
    scheme: str = "http"
    host: str = "localhost"
    port: int | None = None
    path: str = "/"
    user: str = ""
    socket: str = ""

    @classmethod
    def parse(cls, location: str) -> "RestPlace":
        """From the spelling.

        Raises:
            UsageError: it is no URL of a server, or holds a password. The message does not repeat it.
        """
        try:
            parts = urlsplit(location.removeprefix("rest:"))
            port, host = parts.port, parts.hostname or ""
        except ValueError:
            raise UsageError("a location of kind rest that is no URL", hint=_EXAMPLE) from None
        if parts.scheme not in _SCHEMES or not location.isprintable() or parts.query or parts.fragment:
            raise UsageError("a location of kind rest names a server by its URL", hint=_EXAMPLE)
        if parts.password is not None:
            raise UsageError(
                "a location of kind rest holds no password",
                hint="Set RESTIC_REST_PASSWORD, or name a credentials_file: locations are shown and logged.",
            )
        path, socket = parts.path, ""
        if parts.scheme == _UNIX:
            socket, _, path = parts.path.partition(":")
            host = "localhost"
        if not host or (parts.scheme == _UNIX and not socket.strip("/")):
            raise UsageError("a location of kind rest names a server by its URL", hint=_EXAMPLE)
        return cls(
            location=location,
            scheme="https" if parts.scheme == "https" else "http",
            host=host,
            port=port,
            path=f"{path.rstrip('/')}/",
            user=unquote(parts.username or ""),
            socket=socket,
        )

    def file(self, name: str) -> str | None:
        """The path of a file of ours; None where the protocol has no place for it."""
        folder, _, rest = name.partition("/")
        if name == _CONFIG:
            return self.path + _CONFIG
        file = rest.rpartition("/")[2] if folder == "data" else rest
        if folder not in _FOLDERS or _FILE.fullmatch(file) is None:
            return None
        if folder == "data" and rest != f"{file[:_SHARD_DIGITS]}/{file}":
            return None
        return f"{self.path}{quote(folder)}/{file}"

    def folder(self, folder: str) -> str | None:
        """The path of the listing that shows a folder of ours, and perhaps more; None where there is none."""
        first = folder.partition("/")[0]
        return f"{self.path}{first}/" if first in _FOLDERS else None

    @staticmethod
    def name(folder: str, file: str) -> str:
        """Our name of a file that the listing of a folder shows."""
        first = folder.partition("/")[0]
        return f"data/{file[:_SHARD_DIGITS]}/{file}" if first == "data" else f"{first}/{file}"

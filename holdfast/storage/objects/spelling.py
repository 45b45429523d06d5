"""What the spellings of locations have in common: a URL without secrets, a prefix as restic cleans it."""

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from holdfast.errors import StorageDeniedError, UsageError

if TYPE_CHECKING:  # obstore's types exist for checkers only
    from obstore.store import ClientConfig


def split_url(url: str, kind: str, example: str) -> tuple[str, str, str]:
    """(scheme, host and port, path) of a URL.

    Raises:
        UsageError: it is none, or holds a user, a query or a fragment. The message does not repeat it.
    """
    try:
        if not url.isprintable():  # of which urlsplit would leave some out
            raise ValueError(kind)
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UsageError(f"a location of kind {kind} that is no URL", hint=example) from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"a location of kind {kind} holds no credentials, no `?` and no `#`",
            hint="Credentials belong into variables, files or commands: locations are shown and logged.",
        )
    return parts.scheme, parts.netloc, parts.path


def clean_prefix(prefix: str, kind: str) -> str:
    """The prefix as restic's path.Clean has it, without a slash at either end.

    Raises:
        UsageError: it would lead out of the bucket, or holds what no store takes in names.
    """
    cleaned = posixpath.normpath(prefix).strip("/") if prefix else ""
    cleaned = "" if cleaned == "." else cleaned
    if ".." in cleaned.split("/") or not cleaned.isprintable():
        raise UsageError(f"the path in a location of kind {kind} does not stay in its bucket, or is not text")
    return cleaned


def with_authority(limits: "ClientConfig", values: Mapping[str, str]) -> "ClientConfig":
    """The options of a client that also trusts the certificate in RESTIC_CACERT.

    Raises:
        StorageDeniedError: that cannot be read.
    """
    path = values.get("RESTIC_CACERT")
    if path:
        try:
            limits["root_certificate"] = Path(path).read_bytes()
        except OSError as error:
            raise StorageDeniedError(f"{path}: {error.strerror}", hint="RESTIC_CACERT names it.") from None
    return limits

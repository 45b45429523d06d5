"""A location, as people write it, leads to a storage with its layers.

The spelling is restic's: a path, or a kind, a colon and what the kind needs (`local:/srv/backup`). A new kind is a
line here. The client of stores is loaded when the first one is opened; with local directories alone, never.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holdfast.errors import UsageError
from holdfast.storage.contract import Storage
from holdfast.storage.credentials import CredentialSource, no_credentials
from holdfast.storage.layers.retry import Retrying
from holdfast.storage.local import LocalStorage
from holdfast.storage.objects.azure import AzurePlace
from holdfast.storage.objects.gs import GsPlace
from holdfast.storage.objects.s3 import S3Place, with_shared_file
from holdfast.storage.rest.child import RclonePlace, RcloneServer
from holdfast.storage.rest.place import RestPlace

if TYPE_CHECKING:  # loads the client of stores
    from holdfast.storage.objects.store import Place

_LOCAL: Final = "local:"
_NOT_SUPPORTED: Final = frozenset({"swift", "b2"})
"""What restic knows beside those below (internal/backend/all/all.go)."""
_KIND: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def open_storage(location: str, credentials: CredentialSource = no_credentials) -> Storage:
    """The storage at a location: a path, `local:` and a path, or what restic writes for a store at a distance. Nothing
    is read or created yet, and the credentials are not asked for.

    Raises:
        UsageError: the location is empty, of a kind that this program does not know, or makes no sense. The message
            names the kind only, because what follows it may hold a password.
    """
    if location.startswith(_LOCAL):
        return _local(location.removeprefix(_LOCAL))
    place = check_location(location)
    if place is None:
        return _local(location)
    if isinstance(place, RestPlace | RclonePlace):
        return _served(place, credentials)
    return _stored(place, with_shared_file(credentials) if isinstance(place, S3Place) else credentials)


def check_location(location: str) -> "Place | RestPlace | RclonePlace | None":
    """The place that a location names at a distance; None where it is a path of this host.

    Raises:
        UsageError: it is of a kind that this program does not know, or makes no sense, or holds a secret. The message
            names the kind only.
    """
    kind = _KIND.match(location)
    if kind is None or location.startswith(_LOCAL):
        return None
    if kind[1] in _PLACES:
        return _PLACES[kind[1]](location)
    if kind[1] in _NOT_SUPPORTED or _URL.match(location):
        raise UsageError(
            f"repositories at {kind[1]}: locations are not supported",
            hint="Use a local directory, or one of s3:, azure:, gs:, rest:, sftp: and rclone:.",
        )
    return None


def is_read_only(storage: Storage) -> bool:
    """Whether the medium refuses every write to everybody, as it is mounted now. What only this user may not write is
    not read-only: others may be changing it."""
    directory = storage.traits.directory
    try:
        return directory is not None and bool(os.statvfs(directory).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _local(path: str) -> Storage:
    if not path or "\0" in path:
        raise UsageError(
            "the location of the repository is empty or no path",
            hint="Name a directory, for example /srv/backup.",
        )
    return Retrying(LocalStorage(Path(path)))


def _served(place: RestPlace | RclonePlace, credentials: CredentialSource) -> Storage:
    from holdfast.storage.rest.store import RestStorage  # noqa: PLC0415 - see above

    if isinstance(place, RestPlace):
        return Retrying(RestStorage(place, credentials))
    behind = RestPlace(location=place.location)
    return Retrying(RestStorage(behind, credentials, server=RcloneServer(place)))


def _stored(place: "Place", credentials: CredentialSource) -> Storage:
    from holdfast.storage.objects.store import ObjectStorage  # noqa: PLC0415 - see above

    return Retrying(ObjectStorage(place, credentials))


_PLACES: "Final[Mapping[str, Callable[[str], Place | RestPlace | RclonePlace]]]" = {
    "s3": S3Place.parse,
    "azure": AzurePlace.parse,
    "gs": GsPlace.parse,
    "rest": RestPlace.parse,
    "rclone": RclonePlace.parse,
    "sftp": RclonePlace.parse_sftp,
}

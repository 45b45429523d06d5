"""Credentials of repositories at a distance: where a profile says they lie, and how that is read.

A profile names a file, a command or a prefix of variables, as it does for its password; one that names none uses the
variables of restic, as the process that started the workers has them. They go to workers through a pipe, with the
passwords, and are read again in the middle of a run: a file every minute, a command when what it printed is about to
expire.

A file, and what a command prints, has lines `NAME=value`, quoted as a shell has them, perhaps after `export`: what
systemd, `set -a; . FILE` and `aws configure export-credentials --format env` have. Or it is the JSON of AWS's
`credential_process`. Names that no storage asks for are left out, so that a file may serve restic as well.
"""

import json
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from holdfast.errors import HoldfastError, StorageDeniedError
from holdfast.service.settings.model import PasswordSource, RepositoryProfile
from holdfast.service.settings.passwords import COMMAND_TIMEOUT_S, printed_secret
from holdfast.service.settings.text import decode_text_file
from holdfast.storage.contract import Storage
from holdfast.storage.credentials import Credentials, CredentialSource, fixed, is_name, picked
from holdfast.storage.layers.throttled import throttled
from holdfast.storage.locations import open_storage

_LEDGERS: Final = "pace"
_LOOK_AGAIN_S: Final = 60.0
_AHEAD_S: Final = 300.0
"""So long before credentials expire, new ones are asked for."""
_MAX_BYTES: Final = 1 << 20
_EXPIRATION: Final = "AWS_CREDENTIAL_EXPIRATION"
_OF_JSON: Final = {
    "AccessKeyId": "AWS_ACCESS_KEY_ID",
    "SecretAccessKey": "AWS_SECRET_ACCESS_KEY",
    "SessionToken": "AWS_SESSION_TOKEN",
    "Expiration": _EXPIRATION,
}


def open_place(profile: RepositoryProfile, environ: Mapping[str, str], state_dir: Path) -> Storage:
    """The storage of a repository, at the rates of its profile, which the processes share that have this state
    directory. environ: the variables of this process, or those that it was handed."""
    storage = open_storage(profile.location, source_of(profile.credentials, environ))
    return throttled(storage, profile.limits.upload, profile.limits.download, state_dir / _LEDGERS)


def variables_for(profiles: Iterable[RepositoryProfile], environ: Mapping[str, str]) -> dict[str, str]:
    """What workers have to be told of an environment, for these repositories and those of requests."""
    prefixes = {profile.credentials.env for profile in profiles if profile.credentials is not None}
    told = picked(environ)
    for prefix in prefixes - {None}:
        told.update({f"{prefix}{name}": value for name, value in picked(environ, prefix or "").items()})
    return told


def source_of(
    place: PasswordSource | None, environ: Mapping[str, str], *, now: Callable[[], float] = time.time
) -> CredentialSource:
    """The source of a repository's credentials. Nothing is read yet."""
    if place is None:
        return fixed(picked(environ))
    if place.env is not None:
        return fixed(picked(environ, place.env))
    if place.file is not None:
        return _file_source(place.file, now)
    return _command_source(place.command or "", environ, now)


def _file_source(path: Path, now: Callable[[], float]) -> CredentialSource:
    def read() -> Credentials:
        try:
            with path.open("rb") as file:
                text = decode_text_file(file.read(_MAX_BYTES))
        except OSError as error:
            raise StorageDeniedError(
                f"the credentials file {str(path)!r} cannot be read: {error.strerror}",
                hint="Create it, readable by the user that the worker runs as.",
            ) from None
        return Credentials(
            values=parse(text, f"the credentials file {str(path)!r}"), good_until_s=now() + _LOOK_AGAIN_S
        )

    return read


def _command_source(command: str, environ: Mapping[str, str], now: Callable[[], float]) -> CredentialSource:
    def run() -> Credentials:
        try:
            printed = printed_secret(command, environ, COMMAND_TIMEOUT_S, "credentials")
        except HoldfastError as error:
            raise StorageDeniedError(error.message, hint=error.hint) from None
        values = parse(printed.decode("utf-8", "surrogateescape"), "what the credentials command prints")
        expires_s = _expiry(values.get(_EXPIRATION, ""))
        if expires_s is None:
            return Credentials(values=values)
        # a source that gives out what is nearly over is asked once a minute, and not for each request
        return Credentials(values=values, good_until_s=max(expires_s - _AHEAD_S, now() + _LOOK_AGAIN_S))

    return run


def parse(text: str, what: str) -> dict[str, str]:
    """The credentials in a text, by the names of variables. what: where it is from, for messages, which show nothing
    of it.

    Raises:
        StorageDeniedError: it is in neither form, or holds none.
    """
    try:
        found = _of_json(text) if text.lstrip().startswith("{") else dict(_assignments(text))
    except ValueError:
        raise StorageDeniedError(
            f"{what} is not understood",
            hint="Write lines like AWS_ACCESS_KEY_ID=… in it, quoted as in a shell.",
        ) from None
    values = {name: value for name, value in found.items() if value and is_name(name)}
    if not values:
        raise StorageDeniedError(
            f"{what}: there are no credentials in it", hint="Write lines like AWS_ACCESS_KEY_ID=… in it."
        )
    return values


def _of_json(text: str) -> dict[str, str]:
    document: object = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("no object")  # noqa: TRY004 - as what is no JSON
    return {name: str(document[key]) for key, name in _OF_JSON.items() if document.get(key)}


def _assignments(text: str) -> Iterable[tuple[str, str]]:
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["export"]:
            del words[0]
        for word in words:
            name, sign, value = word.partition("=")
            if not sign:
                raise ValueError(name)
            yield name, value


def _expiry(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None

"""Private request files: what a person typed on a command line and Temporal must not see.

A command writes its order under the state directory, where only its own user can read and write, and hands the token
to Temporal; workers of the same user on the same host look the token up. The token is a hash of the content, so a file
that was changed is refused. It is believed only as a regular file of this user's own, closed to others, in a folder
that nobody else can write: that is what makes it a request of this host's owner.

A document is of one kind, and there are two sorts of them (docs/adr/0033):

- what *names* something, a repository by its location or a source by its paths. The same name gives the same token,
  so that workflow ids stay the same, and it may be named as often as one likes;
- what *orders* something that must not happen again by itself, a restore. It carries a mark of its own (`once`), so
  each order has another token, and one run may use it (service/settings/request_uses.py). The beginning of the token
  is the hash of what is ordered without that mark: ids of workflows are made of it.

On disk: JSON in pure ASCII, {"kind": …, "once": …, "order": …}. Bytes (paths and patterns, which need not be UTF-8) are
base64; text may hold lone surrogates, as command-line arguments do, and JSON's escapes carry those. No password is ever
in one, only where to find it.
"""

import contextlib
import hashlib
import json
import re
import stat
import time
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from holdfast.contracts.identity import REQUEST_MARK, SUBJECT_DIGITS
from holdfast.errors import CorruptFileError, SettingsError, StorageDeniedError
from holdfast.format.pack import DEFAULT_PACK_SIZE_BYTES, Compression
from holdfast.service.settings.limits import Limits
from holdfast.service.settings.model import PasswordSource, RepositoryProfile, SourceProfile
from holdfast.service.settings.private_files import read_own, replace_durably
from holdfast.source.spec import SourceSpec
from holdfast.storage.os_errors import unwritable

_Order = TypeVar("_Order", bound=msgspec.Struct)

_FOLDER: Final = "requests"
_TOKEN_DIGITS: Final = 32
NOTE_SUFFIX: Final = ".use"
"""Of the note beside an order that says which run uses it."""
_TOKEN: Final = re.compile(rf"{REQUEST_MARK}[0-9a-f]{{{_TOKEN_DIGITS}}}", re.ASCII)


class RepositoryOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A repository that was given by its location. password: where it is found, None when it goes by pipe.

    no_lock: it is only read, and neither locked nor written.
    """

    location: str
    companion: str = ""
    password: PasswordSource | None = None
    credentials: PasswordSource | None = None
    compression: Compression = Compression.AUTO
    pack_size_bytes: int = DEFAULT_PACK_SIZE_BYTES
    limits: Limits = msgspec.field(default_factory=Limits)
    no_lock: bool = False

    def profile(self, token: str) -> RepositoryProfile:
        """The same as a profile, whose name is the token."""
        return RepositoryProfile(
            name=token,
            location=self.location,
            companion=self.companion,
            password=self.password,
            credentials=self.credentials,
            compression=self.compression,
            pack_size_bytes=self.pack_size_bytes,
            limits=self.limits,
            no_lock=self.no_lock,
        )


class SourceOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source that was given by its paths.

    exclude_files, iexclude_files: absolute; the worker reads them. variables: those that they name.
    """

    spec: SourceSpec
    exclude_files: tuple[Path, ...] = ()
    iexclude_files: tuple[Path, ...] = ()
    variables: dict[str, str] = {}

    def profile(self, token: str, repository: str = "") -> SourceProfile:
        """The same as a profile, whose name is the token."""
        return SourceProfile(
            name=token,
            repository=repository,
            spec=self.spec,
            exclude_files=self.exclude_files,
            iexclude_files=self.iexclude_files,
            variables=self.variables,
        )


def write_request(state_dir: Path, order: msgspec.Struct, *, once: str = "") -> str:
    """Store an order (RepositoryOrder, SourceOrder, RestoreOptions …); returns its token. Durable when it returns.

    once: a mark of this one order, for what must not be done again; writing the same order with the same mark twice
    gives the same token.

    Raises:
        StorageFullError, StorageDeniedError: the state directory cannot take it.
    """
    document = _encode(order, once)
    token = _token(document, _encode(order, ""))
    path = request_path(state_dir, token)
    try:
        _make_private_folder(path.parent)
        replace_durably(path, document)
    except OSError as error:
        raise unwritable(
            error,
            f"the state directory {state_dir} cannot be written",
            hint="Choose another one with state_dir in holdfast.toml or HOLDFAST_STATE_DIR.",
        ) from error
    return token


def read_request(state_dir: Path, token: str, kind: type[_Order]) -> _Order:
    """The order that `write_request` stored under `token`. Notes the use for `remove_unused_requests`.

    Raises:
        SettingsError: there is none, or it is an order of another kind.
        StorageDeniedError: it is not this user's own, or others can write it.
        CorruptFileError: it is not what was written.
    """
    wrapped = _read(state_dir, token)
    if wrapped.get("kind") != kind.__name__:
        raise SettingsError(
            f"the request {token} is of another kind: {wrapped.get('kind')}, not {kind.__name__}",
            hint="Start the command again.",
        )
    try:
        return msgspec.convert(wrapped["order"], kind, strict=True, dec_hook=_from_builtins)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"the request {token} was written by another release: {error}", hint="Start the command again."
        ) from error


def is_once(state_dir: Path, token: str) -> bool:
    """Whether the order is one that a single run may use.

    Raises:
        SettingsError, StorageDeniedError, CorruptFileError: as `read_request`.
    """
    return bool(_read(state_dir, token).get("once"))


def remove_request(state_dir: Path, token: str) -> None:
    """Forget an order; one that is gone already is fine.

    Raises:
        StorageDeniedError: it cannot be removed.
    """
    path = request_path(state_dir, token)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageDeniedError(
            f"the request file {path} cannot be removed: {error.strerror}", hint="Remove it by hand."
        ) from error


def remove_unused_requests(state_dir: Path, *, unused_s: float) -> int:
    """Forget the orders that nobody has written or read for so long, and torn leftovers; returns how many.

    What cannot be removed now is left for the next time.
    """
    newest_ns = time.time_ns() - round(unused_s * 1e9)
    removed = 0
    with contextlib.suppress(OSError):
        # Orders before the notes of their use: an order whose note is gone could be used again.
        for path in sorted((state_dir / _FOLDER).iterdir(), key=lambda path: path.suffix == NOTE_SUFFIX):
            with contextlib.suppress(OSError):
                is_needed = path.suffix == NOTE_SUFFIX and path.with_suffix(".json").exists()
                if path.stat().st_mtime_ns < newest_ns and not is_needed:
                    path.unlink()
                    removed += 1
    return removed


def request_path(state_dir: Path, token: str) -> Path:
    """Where an order lies.

    Raises:
        SettingsError: that is no token.
    """
    if _TOKEN.fullmatch(token) is None:
        raise SettingsError(f"{token[:80]!r} is not the token of a request", hint="Start the command again.")
    return state_dir / _FOLDER / f"{token.removeprefix(REQUEST_MARK)}.json"


def _encode(order: msgspec.Struct, once: str) -> bytes:
    plain = msgspec.to_builtins(order, enc_hook=_to_builtins)
    document = {"kind": type(order).__name__, "once": once, "order": plain}
    return json.dumps(document, ensure_ascii=True, sort_keys=True, indent=1).encode("ascii")


def _token(document: bytes, unmarked: bytes) -> str:
    """What is asked for, then the whole document."""
    subject = hashlib.sha256(unmarked).hexdigest()[:SUBJECT_DIGITS]
    return REQUEST_MARK + (subject + hashlib.sha256(document).hexdigest())[:_TOKEN_DIGITS]


def _to_builtins(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"requests do not hold {type(value).__name__}")


def _from_builtins(kind: type, value: object) -> object:
    if issubclass(kind, Path) and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"requests do not hold {kind.__name__}")


def _make_private_folder(folder: Path) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        folder.chmod(0o700)


def _read(state_dir: Path, token: str) -> dict[str, object]:
    """The document under a token, as it was written."""
    path = request_path(state_dir, token)
    try:
        document = read_own(path)
    except FileNotFoundError:
        raise SettingsError(
            f"the request {token} is not in the state directory {state_dir}",
            hint="Run command and service on one host, as one user, with one state directory.",
        ) from None
    try:
        wrapped: object = json.loads(document)
    except ValueError:
        raise _damaged(token) from None
    if not isinstance(wrapped, dict) or "order" not in wrapped:
        raise _damaged(token)
    unmarked = json.dumps(wrapped | {"once": ""}, ensure_ascii=True, sort_keys=True, indent=1).encode("ascii")
    if _token(document, unmarked) != token:
        raise _damaged(token)
    return wrapped


def _damaged(token: str) -> CorruptFileError:
    return CorruptFileError(f"the request {token} was changed on disk", hint="Start the command again.")

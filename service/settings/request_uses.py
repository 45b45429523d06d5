"""Which run uses an order that may be used once: a note beside the order, written when a run takes it.

A run is named by its id, which is the same over retries, continue-as-new, another worker and `holdfast resume`. So

1. the first run that opens with the order writes the note, and of two at once one wins (the note is linked into place);
2. whatever that run does later finds its own id there, and goes on;
3. any other run is refused, also one that was started with what an old history shows;
4. when the run has reached its end, the note says so: from then on it is refused as well, for a run that is over has
   its workspace no more, and would begin from the start, over what is newer.

A run that failed or was stopped is not over: it may be resumed.
"""

import secrets
from pathlib import Path

import msgspec

from holdfast.contracts.identity import REQUEST_MARK, SUBJECT_DIGITS
from holdfast.errors import CorruptFileError, StorageDeniedError, UsageError
from holdfast.service.settings.private_files import read_own, replace_durably, write_durably
from holdfast.service.settings.requests import NOTE_SUFFIX, request_path
from holdfast.storage.durable import flush_directory, link_new


class RequestUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who uses an order. run: its id. over: it has reached its end; then status and snapshot (hex) tell how."""

    run: str
    over: bool = False
    status: str = ""
    snapshot: str = ""


def take_request(state_dir: Path, token: str, run_id: str) -> None:
    """Let this run use the order, if no other does, and it is not over. The second call finds what the first did.

    Raises:
        UsageError: it was used.
        SettingsError, StorageDeniedError, CorruptFileError: as `read_request`.
    """
    note = _note(state_dir, token)
    if use_of(state_dir, token) is None:
        temporary = note.with_name(f".{note.name}.{secrets.token_hex(8)}")
        try:
            write_durably(temporary, msgspec.json.encode(RequestUse(run=run_id)))
            link_new(str(temporary), str(note), hard_links=True)
        except OSError as error:
            raise _unwritable(note, error) from error
        finally:
            temporary.unlink(missing_ok=True)
        flush_directory(str(note.parent))
    check_use(state_dir, token, run_id)


def check_use(state_dir: Path, token: str, run_id: str) -> None:
    """Whether this run may use the order.

    Raises:
        UsageError: another run does, or it is over, or no run has taken it.
        StorageDeniedError, CorruptFileError: the note cannot be believed.
    """
    use = use_of(state_dir, token)
    if use is not None and use.run == run_id and not use.over:
        return
    reason = "was not begun by this run" if use is None else "was used by another run"
    if use is not None and use.run == run_id:
        reason = "was carried out"
    raise UsageError(
        f"the request {token} {reason}", hint="Repeat the command: each is a request of its own."
    )


def end_use(state_dir: Path, token: str, use: RequestUse) -> None:
    """Note how the run that used the order has ended.

    Raises:
        StorageDeniedError: the note cannot be written.
    """
    note = _note(state_dir, token)
    try:
        replace_durably(note, msgspec.json.encode(use))
    except OSError as error:
        raise _unwritable(note, error) from error


def use_of(state_dir: Path, token: str) -> RequestUse | None:
    """Who uses the order; None while nobody does.

    Raises:
        StorageDeniedError, CorruptFileError: the note cannot be believed.
    """
    try:
        return msgspec.json.decode(read_own(_note(state_dir, token)), type=RequestUse)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise CorruptFileError(
            f"the note of who uses the request {token} is damaged", hint="Repeat the command."
        ) from error


def uses_like(state_dir: Path, token: str) -> list[RequestUse]:
    """Who uses orders of the same content: a command may follow the run of an equal order, given before.

    Raises:
        StorageDeniedError, CorruptFileError: a note cannot be believed.
    """
    note = _note(state_dir, token)
    tokens = [
        REQUEST_MARK + path.stem for path in note.parent.glob(f"{note.stem[:SUBJECT_DIGITS]}*{NOTE_SUFFIX}")
    ]
    return [use for use in (use_of(state_dir, one) for one in tokens) if use is not None]


def _note(state_dir: Path, token: str) -> Path:
    return request_path(state_dir, token).with_suffix(NOTE_SUFFIX)


def _unwritable(note: Path, error: OSError) -> StorageDeniedError:
    return StorageDeniedError(
        f"the use of a request cannot be noted in {note.parent}: {error.strerror}",
        hint="Make room there, or choose another state_dir.",
    )

"""Holds are kept beside the repository: a person's on one snapshot, and an alarm's on what a source had before it.

A hold is a document `holdfast/holds/<snapshot id>` in the companion, with name, reason and dates; nothing of ours
removes a snapshot that it names. An alarm is `holdfast/alarms/<keyed hash of host and source>`: the guard leaves it
when a source as a whole looks wrong, and it stands until a person decides. A later alarm of the same source holds what
there was before the later one.

Each is one document, written or removed as a whole: a crash leaves it or does not. Stock restic's `forget` knows
neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.errors import SnapshotNotFoundError, UsageError
from holdfast.format.times import parse_time
from holdfast.ids import SnapshotId, from_hex, is_hex_id, short, to_hex
from holdfast.repository.documents import encode
from holdfast.repository.keys import list_keys
from holdfast.repository.layout import SNAPSHOTS, file_name
from holdfast.repository.repository import Repository
from holdfast.repository.sealed_folder import SealedFolder
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.retention.places import Places
from holdfast.retention.protection import Alarm, Protections
from holdfast.units import NS_PER_S, counted

HOLDS: Final = "holdfast/holds"
ALARMS: Final = "holdfast/alarms"
MAX_NAME: Final = 100
MAX_REASON: Final = 500
_ALARM_PURPOSE: Final = b"holdfast alarm 1\0"
_NAME_DIGITS: Final = 32


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A person's hold. snapshot: its id. original: what it said of the snapshot that it was made from, so that the
    hold stays when the tags change. until_ns: since 1970; 0 for no end."""

    snapshot: bytes
    original: bytes = b""
    by: str
    reason: str
    since_ns: int
    until_ns: int = 0

    def stands(self, now_ns: int) -> bool:
        """Whether it is not over."""
        return not self.until_ns or now_ns < self.until_ns


class AlarmNote(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm, as it is kept. run: the guard's; alarm: what looked wrong, for people."""

    host: str
    source: str
    paths: tuple[str, ...]
    since_ns: int
    alarm: str
    run: str


def hold(
    repository: Repository, stored: StoredSnapshot, *, by: str, reason: str, now_ns: int, until_ns: int = 0
) -> Hold:
    """Hold a snapshot, in place of an earlier hold.

    Raises:
        UsageError: there is no name, no reason, or the end lies in the past; or the companion keeps no documents.
        SnapshotNotFoundError: it was forgotten in this moment; the hold stands, for when it is taken back.
    """
    check_said(by, reason)
    if until_ns and until_ns <= now_ns:
        raise UsageError("the hold would end in the past", hint="Give a later date, or none.")
    original = stored.snapshot.original or ""
    made = Hold(
        snapshot=stored.id,
        original=from_hex(original) if is_hex_id(original) else b"",
        by=by,
        reason=reason,
        since_ns=now_ns,
        until_ns=until_ns,
    )
    _places(repository, HOLDS).written.put(to_hex(stored.id), encode(made))
    if repository.storage.size_or_none(file_name(SNAPSHOTS, stored.id)) is None:
        raise SnapshotNotFoundError(
            f"the snapshot {short(stored.id)} was forgotten just now; it is held once it is back",
            hint=f"`holdfast unforget {short(stored.id)}` takes it back.",
        )
    return made


def release(repository: Repository, prefix: str) -> Hold:
    """Remove a hold, by the beginning of its snapshot's id.

    Raises:
        UsageError: there is none, or several begin so.
    """
    found = [one for one in list_holds(repository) if prefix and to_hex(one.snapshot).startswith(prefix)]
    if len(found) != 1:
        what = (
            "no hold is on a snapshot that begins"
            if not found
            else counted(len(found), "hold is on a snapshot", "holds are on snapshots") + " that begin"
        )
        raise UsageError(f"{what} with {prefix[:64]!r}", hint="`holdfast holds` lists them.")
    _places(repository, HOLDS).remove(to_hex(found[0].snapshot))
    return found[0]


def hold_on(repository: Repository, snapshot_id: SnapshotId) -> Hold | None:
    """The hold on a snapshot of this id. Raises CorruptFileError as `list_holds`."""
    return _places(repository, HOLDS).load(to_hex(snapshot_id), Hold)


def list_holds(repository: Repository) -> list[Hold]:
    """All holds, oldest first, those that are over too.

    Raises:
        CorruptFileError: one cannot be read, so nobody knows what it holds.
    """
    return sorted(_places(repository, HOLDS).load_all(Hold), key=lambda one: one.since_ns)


def raise_alarm(repository: Repository, note: AlarmNote) -> None:
    """Leave an alarm; one that stands is replaced by the later of both."""
    places, name = _places(repository, ALARMS), _alarm_name(repository, note.host, note.source)
    standing = places.load(name, AlarmNote)
    if standing is None or standing.since_ns < note.since_ns:
        places.written.put(name, encode(note))


def settle_alarm(repository: Repository, host: str, source: str) -> AlarmNote | None:
    """Remove an alarm, because a person has decided; the one that stood."""
    places, name = _places(repository, ALARMS), _alarm_name(repository, host, source)
    standing = places.load(name, AlarmNote)
    places.remove(name)
    return standing


def open_alarms(repository: Repository) -> list[AlarmNote]:
    """The alarms that stand, oldest first. Raises CorruptFileError as `list_holds`."""
    return sorted(_places(repository, ALARMS).load_all(AlarmNote), key=lambda one: one.since_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What the journal knows: snapshots of which all was read back, or restored, and found sound.

    verified_before_ns: those from before were all verified; since 1970, 0 where they never were.
    """

    verified: frozenset[SnapshotId] = frozenset()
    drilled: frozenset[SnapshotId] = frozenset()
    verified_before_ns: int = 0


def protections(
    repository: Repository, snapshots: Sequence[StoredSnapshot], proofs: Proofs, now_ns: int
) -> Protections:
    """All that protects snapshots beside what they say themselves.

    Raises:
        CorruptFileError: a hold or an alarm cannot be read.
    """
    held: dict[SnapshotId, str] = {}
    for one in list_holds(repository):
        if one.stands(now_ns):
            for snapshot_id in filter(None, (one.snapshot, one.original)):
                held[SnapshotId(snapshot_id)] = f"{one.reason} ({one.by})"
    alarms = [
        Alarm(host=note.host, source=note.source, paths=note.paths, since_ns=note.since_ns)
        for note in open_alarms(repository)
    ]
    return Protections(
        held=held,
        alarms=alarms,
        verified=proofs.verified
        | {stored.id for stored in snapshots if stored.time_ns < proofs.verified_before_ns},
        drilled=proofs.drilled,
        born_ns=_born_ns(repository, snapshots),
    )


def check_said(by: str, reason: str) -> None:
    """Refuse what is on record without a name and a reason.

    Raises:
        UsageError.
    """
    for what, said, most in (("name", by, MAX_NAME), ("reason", reason, MAX_REASON)):
        if not said.strip() or len(said) > most:
            raise UsageError(f"a {what} of at most {most} characters is needed", hint="Give --reason TEXT.")


def parse_until(text: str) -> int:
    """The end of a hold from a date ("2027-01-31", then its end in UTC) or an RFC 3339 time, in ns since 1970.

    Raises:
        UsageError: it is neither.
    """
    try:
        if "T" in text:
            return parse_time(text)
        return parse_time(f"{text}T00:00:00Z") + 86_400 * NS_PER_S
    except ValueError:
        raise UsageError(f"--until: {text!r} is no date", hint='Write one like "2027-01-31".') from None


def told(one: Hold) -> str:
    """A hold in a line, for people."""
    return f"{short(one.snapshot)} held by {one.by}: {one.reason}"


class _Holds(SealedFolder):
    hint = "A hold is damaged, so nobody knows what it holds: nothing is forgotten before this file is gone."


def _places(repository: Repository, folder: str) -> Places:
    return Places(repository, folder, _Holds)


def _alarm_name(repository: Repository, host: str, source: str) -> str:
    said = f"{host}\0{source}".encode()
    return repository.key.derive_secret(_ALARM_PURPOSE + said).hex()[:_NAME_DIGITS]


def _born_ns(repository: Repository, snapshots: Sequence[StoredSnapshot]) -> int:
    """When the repository was made, as far as its keys tell; 0 where that is not to be believed.

    A repository whose passwords were all replaced has younger keys than snapshots, and so has one that was copied into.
    Then most snapshots are older than the keys, and the keys say nothing.
    """
    born_ns = min((key.created_ns for key in list_keys(repository) if key.created_ns), default=0)
    older = sum(stored.time_ns < born_ns for stored in snapshots)
    return born_ns if 2 * older < len(snapshots) else 0

"""A snapshot says when, where from, and which tree. Source: restic, internal/data/snapshot.go.

Unknown fields survive reading in restic, but `restic tag` and `rewrite` drop them: what must last goes into tags.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from holdfast.errors import CorruptFileError
from holdfast.format.leniency import parted, whole
from holdfast.format.times import ZERO_TIME, parse_time
from holdfast.ids import is_hex_id


class SnapshotSummary(msgspec.Struct, frozen=True, kw_only=True):
    """restic's counters of the backup that made the snapshot; bytes, and counts of files, directories, blobs."""

    backup_start: str = ""
    backup_end: str = ""
    files_new: int = 0
    files_changed: int = 0
    files_unmodified: int = 0
    dirs_new: int = 0
    dirs_changed: int = 0
    dirs_unmodified: int = 0
    data_blobs: int = 0
    tree_blobs: int = 0
    data_added: int = 0
    data_added_packed: int = 0
    total_files_processed: int = 0
    total_bytes_processed: int = 0


class SnapshotFilters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What else than `excludes` was left out of the backup. A field of our own, which `restic tag` drops."""

    iexcludes: tuple[str, ...] = ()
    exclude_if_present: tuple[str, ...] = ()
    exclude_caches: bool = False
    exclude_larger_than_bytes: int | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One snapshot. tree, parent, original: 64 hex digits. time: RFC 3339. filters: only where there were any.

    delete: rustic's word on when it may go, as it stands there (its crates/core/src/repofile/snapshotfile.rs,
    `DeleteOption`); retention/protection.py reads it.
    """

    time: str = msgspec.field(default_factory=lambda: ZERO_TIME)
    parent: str | None = None
    tree: str
    paths: list[str] | None = msgspec.field(default_factory=lambda: None)
    hostname: str = ""
    username: str = ""
    uid: int = 0
    gid: int = 0
    excludes: list[str] | None = None
    tags: list[str] | None = None
    original: str | None = None
    program_version: str = ""
    summary: SnapshotSummary | None = None
    delete: object = None
    filters: SnapshotFilters | None = msgspec.field(default=None, name="holdfast_filters")

    @property
    def time_ns(self) -> int:
        """Nanoseconds since 1970."""
        return parse_time(self.time)


_DECODER: Final = msgspec.json.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The JSON of a snapshot."""
    return msgspec.json.encode(snapshot)


def changed_snapshot(data: bytes, changes: Mapping[str, object]) -> bytes:
    """The JSON of a snapshot with other values of some members; None leaves a member out. All others stay as they are,
    those of other programs too.

    Raises:
        CorruptFileError: not the JSON of an object.
    """
    try:
        _, members = parted(data, ())
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"a snapshot cannot be read: {error}") from error
    for name, value in changes.items():
        members.pop(name, None)
        if value is not None:
            members[name] = msgspec.json.encode(value)
    return whole(members)


def decode_snapshot(data: bytes) -> Snapshot:
    """A snapshot.

    Raises:
        CorruptFileError: not a snapshot; or one without a tree, or with a time that is none.
    """
    try:
        snapshot = _decoded(data)
        parse_time(snapshot.time)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise CorruptFileError(f"a snapshot cannot be read: {error}") from error
    if not is_hex_id(snapshot.tree) or (snapshot.parent is not None and not is_hex_id(snapshot.parent)):
        raise CorruptFileError("a snapshot names its tree or parent by something that is no id")
    return snapshot


def _decoded(data: bytes) -> Snapshot:
    """One after the other: as restic writes it, and with members that are null, which Go passes over."""
    try:
        return _DECODER.decode(data)
    except msgspec.ValidationError:
        known, _ = parted(data, Snapshot.__struct_encode_fields__)
        if "summary" in known:
            summary, _ = parted(known["summary"], SnapshotSummary.__struct_encode_fields__)
            known["summary"] = whole(summary)
        return _DECODER.decode(whole(known))

"""Shows a snapshot to programs, as restic's JSON has it."""

import msgspec

from holdfast.ids import short, to_hex
from holdfast.repository.snapshots import StoredSnapshot


def snapshot_document(stored: StoredSnapshot) -> dict[str, object]:
    """A snapshot as restic's JSON has it."""
    plain: dict[str, object] = msgspec.to_builtins(stored.snapshot)
    return plain | {"id": to_hex(stored.id), "short_id": short(stored.id)}

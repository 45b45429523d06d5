"""`holdfast snapshots` lists the snapshots of a repository."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.errors import HoldfastError, SnapshotNotFoundError
from holdfast.ids import SnapshotId, short, to_hex
from holdfast.repository.snapshots import StoredSnapshot, is_ahead, list_snapshots
from holdfast.starter.requests.choice import choice_of, place_of, refuse_unknown
from holdfast.starter.requests.repositories import open_repository
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import SnapshotFilterOptions, Texts
from holdfast.starter.shell.output import tell, warn
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import local_time
from holdfast.starter.view.snapshots import snapshot_document
from holdfast.terms import LATEST
from holdfast.units import counted

_COLUMNS = (
    Column("ID"),
    Column("Time", 0, Kind.TIME),
    Column("Host", 2, Kind.PATH),
    Column("Tags", 3),
    Column("Paths", 1, Kind.PATH),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotsOptions(SnapshotFilterOptions):
    """Options of `snapshots`."""

    ids: Annotated[Texts, typer.Argument(metavar="[SNAPSHOTS]", help="Only these.", show_default=False)] = ()
    latest: Annotated[
        int,
        typer.Option(
            metavar="N", help="Only the newest N of each host and set of paths.", show_default=False
        ),
    ] = 0


def snapshots(options: SnapshotsOptions) -> int:
    """List the snapshots of a repository."""
    invocation = Invocation.of(options)
    choice = choice_of(invocation, options)
    repository = open_repository(invocation, place_of(invocation, options))

    def unreadable(snapshot_id: SnapshotId, error: HoldfastError) -> None:
        warn(f"snapshot {short(snapshot_id)} cannot be read: {error.message}")

    everything = list_snapshots(repository, on_unreadable=unreadable)
    refuse_unknown(choice, everything)
    _refuse_unknown_ids(options.ids, everything)
    found = [
        stored for stored in everything if choice.takes(stored.snapshot) and _is_named(stored, options.ids)
    ]
    now_ns = time.time_ns()
    for stored in found:
        if is_ahead(stored, now_ns):
            warn(f"snapshot {short(stored.id)} is dated in the future: no latest one, and no parent")
    if options.latest > 0:
        found = _newest(found, options.latest, now_ns)
    if options.json:
        return tell(options, [snapshot_document(stored) for stored in found], ())
    return tell(options, None, _table(found))


def _is_named(stored: StoredSnapshot, ids: Sequence[str]) -> bool:
    return not ids or any(name == LATEST or to_hex(stored.id).startswith(name) for name in ids)


def _refuse_unknown_ids(ids: Sequence[str], everything: Sequence[StoredSnapshot]) -> None:
    """See that each id is one that can be read, or the beginning of one.

    Raises:
        SnapshotNotFoundError: one is not.
    """
    for name in ids:
        if not any(_is_named(stored, (name,)) for stored in everything):
            raise SnapshotNotFoundError(
                f"no snapshot's id begins with {name[:64]!r}",
                hint="`holdfast snapshots` without it lists what there is.",
            )


def _newest(found: Iterable[StoredSnapshot], count: int, now_ns: int) -> list[StoredSnapshot]:
    """The newest of each host and set of paths; those that are dated in the future only where there are no others."""
    groups: dict[tuple[str, tuple[str, ...]], list[StoredSnapshot]] = {}
    for stored in found:
        key = (stored.snapshot.hostname, tuple(stored.snapshot.paths or ()))
        groups.setdefault(key, []).append(stored)
    newest: list[StoredSnapshot] = []
    for group in groups.values():
        newest += ([stored for stored in group if not is_ahead(stored, now_ns)] or group)[-count:]
    return sorted(newest, key=lambda stored: (stored.time_ns, stored.id))


def _table(found: Sequence[StoredSnapshot]) -> list[str]:
    rows = [
        (
            short(stored.id),
            local_time(stored.time_ns),
            stored.snapshot.hostname,
            "\n".join(_own_tags(stored.snapshot.tags or ())),
            "\n".join(stored.snapshot.paths or ()),
        )
        for stored in found
    ]
    return table(_COLUMNS, rows, counted(len(rows), "snapshot"))


def _own_tags(tags: Iterable[str]) -> list[str]:
    """A person's tags, and of ours the status where it is worth a look; --json has them all."""
    return [
        tag.removeprefix("holdfast-status:") if tag == "holdfast-status:partial" else tag
        for tag in tags
        if not tag.startswith("holdfast-") or tag == "holdfast-status:partial"
    ]

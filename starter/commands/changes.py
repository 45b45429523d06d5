"""`holdfast changes` shows what came, went and changed in a source between two moments, as its snapshots have it."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from holdfast.errors import EXIT_COMPLETE, SnapshotNotFoundError, UsageError
from holdfast.ids import BlobId, from_hex, short, to_hex
from holdfast.repository.choice import Choice
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import StoredSnapshot, chosen_snapshots
from holdfast.service.settings.choice import of_source
from holdfast.starter.requests.repositories import open_for_reading, repository_session
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.moments import parse_moment
from holdfast.starter.shell.options import CommonOptions, NoLock
from holdfast.starter.shell.output import say, say_json
from holdfast.starter.shell.text import json_text, local_time, printable
from holdfast.stats.differences import Change, Difference, differences
from holdfast.units import format_bytes

_WORDS: Final = {
    Change.ADDED: "new",
    Change.REMOVED: "gone",
    Change.CONTENT: "changed",
    Change.TYPE: "of another kind",
    Change.METADATA: "with other attributes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesOptions(CommonOptions):
    """Options of `changes`."""

    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A source of the settings.")]
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help='Against the newest snapshot before: "tuesday", a date, a time, 36h (ago). Else the last but one.',
            show_default=False,
        ),
    ] = None
    until: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="The newest snapshot before; else of all.", show_default=False),
    ] = None
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Also paths of which only owner, mode or time changed.")
    ] = False
    no_lock: NoLock = False


def changes(options: ChangesOptions) -> int:
    """Show what came, went and changed in a source between two of its snapshots, deletions too."""
    invocation = Invocation.of(options)
    profile = invocation.settings.source(options.source)
    now_ns = time.time_ns()
    repository = open_for_reading(invocation, no_lock=options.no_lock, fallback=profile.repository)
    with repository_session(repository) as session, session.hold() as held:
        source = Choice(source=of_source(invocation.settings, profile))
        taken = chosen_snapshots(repository, choice=source)
        before, after = _chosen(options, taken, now_ns)
        held.refresh()  # what was found since may need what was written since
        found = _differences(held, before, after, metadata=options.metadata)
        if options.json:
            return _tell_json(found, before, after)
        return _tell(found, before, after)


def _chosen(
    options: ChangesOptions, taken: Sequence[StoredSnapshot], now_ns: int
) -> tuple[StoredSnapshot | None, StoredSnapshot]:
    """The snapshot before, None where there was none yet, and the one after; taken: those of the source, oldest first.

    Raises:
        SnapshotNotFoundError: none was taken in that time.
        UsageError: that is no time.
    """
    until_ns = _moment("--until", options.until, now_ns)
    earlier = [stored for stored in taken if until_ns is None or stored.time_ns < until_ns]
    since_ns = _moment("--since", options.since, now_ns)
    if since_ns is not None and until_ns is not None and until_ns <= since_ns:
        raise UsageError("--until lies before --since", hint='A day of the week is the last one: "tuesday".')
    older = [stored for stored in earlier if since_ns is None or stored.time_ns < since_ns]
    before = older[-2:-1] if since_ns is None else older[-1:]
    if not earlier or before == earlier[-1:]:
        last = f"the newest is of {local_time(taken[-1].time_ns)}" if taken else "there is none at all"
        raise SnapshotNotFoundError(
            f"{options.source} has no snapshot of that time; {last}",
            hint="`holdfast snapshots` lists what there is.",
        )
    return (before[0] if before else None), earlier[-1]


def _moment(option: str, text: str | None, now_ns: int) -> int | None:
    return None if text is None else parse_moment(text, option=option, now_ns=now_ns)


def _differences(
    held: HeldRepository, before: StoredSnapshot | None, after: StoredSnapshot, *, metadata: bool
) -> Iterator[Difference]:
    """As restic has them; a directory that stays is none itself."""
    trees = [None if one is None else BlobId(from_hex(one.snapshot.tree)) for one in (before, after)]
    for one in differences(held.loader.load_tree, *trees):
        if metadata or one.change is not Change.METADATA:
            yield one


def _tell(found: Iterable[Difference], before: StoredSnapshot | None, after: StoredSnapshot) -> int:
    counts: Counter[Change] = Counter()
    for one in found:
        counts[one.change] += not one.is_directory
        say(_line(one))
    parts = [f"{counts[change]:,} {_WORDS[change]}" for change in Change if counts[change]]
    earlier = "before its first snapshot" if before is None else f"since {_named(before)}"
    say(f"{', '.join(parts) or 'nothing differs'}; {earlier}, until {_named(after)}")
    return EXIT_COMPLETE


def _line(one: Difference) -> str:
    slash = "/" if one.is_directory else ""
    node = one.after or one.before
    size = f"  ({format_bytes(node.size)})" if node is not None and node.is_file else ""
    return f"{one.change.value}    {printable(one.path)}{slash}{size}"


def _named(stored: StoredSnapshot) -> str:
    return f"snapshot {short(stored.id)} of {local_time(stored.time_ns)}"


def _tell_json(found: Iterable[Difference], before: StoredSnapshot | None, after: StoredSnapshot) -> int:
    """The words are those of restic's `diff`."""
    counts: Counter[Change] = Counter()
    for one in found:
        counts[one.change] += not one.is_directory
        path = json_text(one.path) + ("/" if one.is_directory else "")
        say_json({"message_type": "change", "path": path, "modifier": one.change.value})
    say_json(
        {
            "message_type": "statistics",
            "source_snapshot": None if before is None else to_hex(before.id),
            "target_snapshot": to_hex(after.id),
            "changed_files": counts[Change.CONTENT],
            "added_files": counts[Change.ADDED],
            "removed_files": counts[Change.REMOVED],
        }
    )
    return EXIT_COMPLETE

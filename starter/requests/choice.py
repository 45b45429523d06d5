"""Reads which snapshots a person means: the options that all commands share which choose some."""

from collections.abc import Iterable

from holdfast.errors import SnapshotNotFoundError
from holdfast.repository.choice import Choice
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.service.settings.choice import of_source
from holdfast.service.settings.suggestions import one_of
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import ChoiceOptions


def choice_of(invocation: Invocation, options: ChoiceOptions) -> Choice:
    """What is meant. With a source, hosts say whose backups of it: of other hosts that call one so.

    Raises:
        SettingsError: the settings have no such source.
        UsageError: a path is none.
    """
    settings = invocation.settings
    source = settings.source(options.source) if options.source else None
    return Choice(
        hosts=options.host,
        paths=invocation.listed(options.path),
        tags=options.tag,
        source=None if source is None else of_source(settings, source, options.host),
    )


def place_of(invocation: Invocation, options: ChoiceOptions) -> str:
    """The repository that the source is backed up to, where nothing else names one; empty without a source.

    Raises:
        SettingsError: the settings have no such source.
    """
    return invocation.settings.source(options.source).repository if options.source else ""


def refuse_unknown(choice: Choice, snapshots: Iterable[StoredSnapshot]) -> None:
    """See that each host, path and tag of the choice is one that some snapshot has: a mistyped one would pass for one
    that has no snapshots. snapshots: all of the repository. A source that has none yet is no mistake.

    Raises:
        SnapshotNotFoundError: one of them is not there.
    """
    there = [stored.snapshot for stored in snapshots]
    tags = tuple(tag for several in choice.tags for tag in several.split(",") if tag)
    for option, wanted, known in (
        ("--host", choice.hosts, {snapshot.hostname for snapshot in there}),
        ("--path", choice.paths, {path for snapshot in there for path in snapshot.paths or ()}),
        ("--tag", tags, {tag for snapshot in there for tag in snapshot.tags or ()}),
    ):
        for name in wanted:
            if name not in known:
                raise SnapshotNotFoundError(
                    f"{option}: no snapshot has {name!r}",
                    hint=one_of(name, known, option) if known else "No snapshot has any.",
                )

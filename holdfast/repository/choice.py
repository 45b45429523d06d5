"""Which snapshots are meant: by host, by path and by tag as in restic, and by a source of the settings.

One function chooses, `Choice.takes`, whoever asks: a command, a run, a schedule. Values of this module stand in orders.
"""

import msgspec

from holdfast.format.snapshot import Snapshot
from holdfast.format.tags import source_of


class OfSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source of the settings, as snapshots tell it: by its name, which stands in a tag, whatever paths it has had.

    hosts: those that it is backed up on; any, where there are none. paths: as snapshots list them, for those that name
    no source: of other programs, and from before it stood in the settings.
    """

    name: str
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def has(self, snapshot: Snapshot) -> bool:
        """Whether a snapshot is of this source."""
        if self.hosts and snapshot.hostname not in self.hosts:
            return False
        named = source_of(snapshot)
        return named == self.name if named else set(snapshot.paths or ()) == set(self.paths)


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a snapshot must have: one of the hosts, all of the paths, all tags of at least one comma-separated list in
    `tags`, and the source. Empty, each of them lets all pass; an empty list in `tags` means: without any tag."""

    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    source: OfSource | None = None

    def __bool__(self) -> bool:
        """Whether it asks for anything."""
        return bool(self.hosts or self.paths or self.tags or self.source)

    def __str__(self) -> str:
        """What is asked for, in words: "source home, host a or b"."""
        said = [] if self.source is None else [f"source {self.source.name}"]
        said += [f"host {' or '.join(self.hosts)}"] if self.hosts else []
        said += [f"path {', '.join(self.paths)}"] if self.paths else []
        said += [f"tag {' or '.join(self.tags)}"] if self.tags else []
        return ", ".join(said)

    def takes(self, snapshot: Snapshot) -> bool:
        """Whether a snapshot is among those that are meant."""
        tags = set(snapshot.tags or ())
        return (
            (not self.hosts or snapshot.hostname in self.hosts)
            and set(snapshot.paths or ()).issuperset(self.paths)
            and (not self.tags or any(_has_tags(tags, wanted) for wanted in self.tags))
            and (self.source is None or self.source.has(snapshot))
        )


ALL = Choice()


def _has_tags(own: set[str], wanted: str) -> bool:
    names = [name for name in wanted.split(",") if name]
    return own.issuperset(names) if names else not own

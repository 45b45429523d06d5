"""A person's tags of snapshots are changed, as restic's `tag` does it: under a new id, and `original` names the first.

Tags that begin with "holdfast-" record the run of a snapshot, how it ended and what it covers. They are not a person's:
nobody adds or removes them, and setting all tags leaves them. Members of a snapshot's JSON that are not known here
stay; restic drops them. Source: restic, cmd/restic/cmd_tag.go.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.errors import UsageError
from holdfast.format.tags import OWN
from holdfast.ids import SnapshotId, to_hex
from holdfast.repository.exclusive import WAIT_FOR_OTHERS_S, ExclusiveLock
from holdfast.repository.repository import Repository
from holdfast.repository.snapshots import StoredSnapshot, list_snapshots, replace_snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class TagChange:
    """What becomes of a snapshot's tags. replaced: all of a person's; None leaves them, for `added` and `removed`."""

    replaced: tuple[str, ...] | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises UsageError: it changes nothing, sets and adds at once, or speaks of tags that are ours."""
        if self.replaced is None and not self.added and not self.removed:
            raise UsageError("nothing is to be changed", hint="Give --add, --remove or --set.")
        if self.replaced is not None and (self.added or self.removed):
            raise UsageError("--set and --add or --remove exclude each other", hint="Give one of them.")
        for tag in (*(self.replaced or ()), *self.added, *self.removed):
            if tag.startswith(OWN):
                raise UsageError(
                    f'tags that begin with "{OWN}" are ours',
                    hint="They say what a snapshot is; choose another.",
                )

    def apply(self, tags: Sequence[str]) -> list[str]:
        """The tags of a snapshot that has these, each once, in their order."""
        if self.replaced is not None:
            return list(dict.fromkeys((*self.replaced, *(tag for tag in tags if tag.startswith(OWN)))))
        return [tag for tag in dict.fromkeys((*tags, *self.added)) if tag not in self.removed]


def change_tags(
    repository: Repository, change: TagChange, choose: Callable[[], Sequence[StoredSnapshot]]
) -> Iterator[tuple[SnapshotId, SnapshotId]]:
    """Change the tags of the snapshots that `choose` names under the exclusive lock; the old and the new id of each
    that was changed, one by one. What a crash leaves, `replace_snapshot` says.

    Raises:
        UsageError: as `TagChange.check`.
        RepositoryLockedError: another process uses the repository, and did not go in time. Nothing was changed.
        LockLostError: our lock could not be kept; what was changed until then stays changed.
    """
    change.check()
    with ExclusiveLock(repository, wait_s=WAIT_FOR_OTHERS_S) as lock:
        chosen = choose()
        standing = list_snapshots(repository)
        for stored in chosen:
            tags = change.apply(stored.snapshot.tags or ())
            if tags == (stored.snapshot.tags or []):
                continue
            changes = {"tags": tags or None, "original": stored.snapshot.original or to_hex(stored.id)}
            yield stored.id, replace_snapshot(repository, stored, changes, lock.check, standing=standing)

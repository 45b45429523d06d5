"""What a person asks of a restore: which snapshot, what of it, where to, and what may happen to what is there."""

import msgspec

from holdfast.errors import TargetError, UsageError
from holdfast.repository.choice import ALL, Choice
from holdfast.terms import LATEST, Overwrite


class RestoreOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One restore, as asked for. The values hold bytes, so the encoding of choice is MessagePack (or JSON with base64).

    snapshot: "latest" or the beginning of an id, with ":subfolder" appended to restore only what is below it.
    which: the snapshots that "latest" may mean.
    target: absolute path; None means the original place.
    includes, excludes (and the case-insensitive iincludes, iexcludes): restic's patterns, on paths that begin with
    "/" at the snapshot's root (or the subfolder).
    exact_paths: a batch of paths (same root), each selected with everything below it.
    replace_kinds: let a file or a link make room for what is of another kind, as far as `overwrite` allows. It is not
    what a person means who has said nothing about overwriting.
    delete: remove from selected directories what the snapshot covers and does not have; also what is of another kind
    and in the way.
    sparse: leave runs of zeros as holes.
    ignore_damaged: let "latest" be the newest snapshot that can be read, although there are others.
    from_store: read trees from the store, past what this host has copies of: a trial must not pass by those.
    to_command: the source whose restore_command gets the snapshot's one file; then nothing is written by us.
    """

    snapshot: str = LATEST
    which: Choice = ALL
    target: bytes | None = None
    includes: tuple[bytes, ...] = ()
    excludes: tuple[bytes, ...] = ()
    iincludes: tuple[bytes, ...] = ()
    iexcludes: tuple[bytes, ...] = ()
    exact_paths: tuple[bytes, ...] = ()
    overwrite: Overwrite = Overwrite.ALWAYS
    replace_kinds: bool = False
    delete: bool = False
    dry_run: bool = False
    sparse: bool = True
    ignore_damaged: bool = False
    from_store: bool = False
    to_command: str = ""

    @property
    def snapshot_name(self) -> str:
        """The snapshot without its subfolder."""
        return self.snapshot.partition(":")[0]

    @property
    def subfolder(self) -> bytes:
        """Absolute path inside the snapshot, without a slash at its end; empty for the whole snapshot."""
        inside = self.snapshot.partition(":")[2].encode("utf-8", "surrogateescape")
        parts = [part for part in inside.split(b"/") if part not in (b"", b".")]
        return b"".join(b"/" + part for part in parts)

    @property
    def limits_selection(self) -> bool:
        """Whether anything says which part of the snapshot is meant."""
        return bool(self.includes or self.iincludes or self.exact_paths)

    def check(self) -> None:
        """Refuse what makes no sense or is too dangerous to be meant.

        Raises:
            UsageError: a contradiction, or no snapshot is named.
            TargetError: the target is no absolute path, or deleting would begin at the root of the file system.
        """
        if not self.snapshot_name:
            raise UsageError("no snapshot is named", hint='Name an id or "latest".')
        if b".." in self.subfolder.split(b"/"):
            raise UsageError('the subfolder contains ".."', hint="Give its path inside the snapshot.")
        for path in self.exact_paths:
            if not path.startswith(b"/"):
                raise UsageError("the list of paths holds one that does not begin with /")
        if self.target is not None and not self.target.startswith(b"/"):
            raise TargetError("the restore target is not an absolute path", hint="Begin it with /.")
        if self.delete and not self.limits_selection and not self.target_path().strip(b"/"):
            raise TargetError(
                "deleting at / would remove everything that the snapshot does not have",
                hint="Combine --delete with --include, a subfolder or another --target.",
            )

    def target_path(self) -> bytes:
        """Where the selected tree's root goes: the target, or its original place."""
        return (self.subfolder or b"/") if self.target is None else self.target


class SystemRestoreOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One recovery of a system, as asked for on this host. target: absolute, gets a folder for each member; None means
    the original places. as_of_ns: the moment that is wanted, 0 for the newest."""

    system: str
    target: bytes | None = None
    as_of_ns: int = 0

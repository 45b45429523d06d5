"""Removes from restored directories what the snapshot covers and does not have; in a dry run only says what it would.

A directory is covered when the backup read it whole (coverage.py says which are). In it stay: what the backup's rules
leave out, sockets, what is mounted there, the repository, and what the request names itself: it was to be restored, and
that the snapshot lacks it is an error.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from holdfast.errors import HoldfastError
from holdfast.ids import BlobId
from holdfast.restore.documents import Opening
from holdfast.restore.left_out import LeftOut
from holdfast.restore.os_failures import path_failure
from holdfast.restore.plan.selection import Selection
from holdfast.restore.run import RestoreRun
from holdfast.restore.target import protected_directories
from holdfast.safe_fs.directories import Directories, Directory, join, proc_path
from holdfast.safe_fs.remove import Gone, remove_tree
from holdfast.safe_fs.temporary import is_temporary, run_mark


@dataclass(frozen=True, slots=True)
class Deleted:
    """One entry that is gone (or would be); or could not be removed. size: of a file."""

    path: bytes
    is_file: bool = True
    size: int = 0
    failure: str = ""


class Deletion:
    """Deletes in one directory after the other."""

    def __init__(
        self, run: RestoreRun, opening: Opening, directories: Directories, on_entry: Callable[[], None]
    ) -> None:
        self._run = run
        self._directories = directories
        self._on_entry = on_entry
        self._selection = Selection(run.options, opening.only)
        self._left_out = LeftOut(opening.coverage)
        self._mark = run_mark(run.run_id)
        self._protected = protected_directories(run)

    def in_directory(self, path: bytes, tree: BlobId) -> Iterator[Deleted]:
        """Everything in `path`, which is covered, that `tree` does not name and that the request's patterns select.

        As in restic, what the snapshot has but the patterns leave out is not touched either.
        """
        directory = self._directories.open(path)
        if self._left_out.is_marked(directory.fd):
            return
        expected = {node.name for node in self._run.held.loader.load_tree(tree)}
        with os.scandir(proc_path(directory.fd)) as entries:
            names = sorted(os.fsencode(entry.name) for entry in entries)
        for name in names:
            self._on_entry()
            inside = join(path, name)
            if name not in expected and not is_temporary(name, self._mark) and self._selects(inside):
                yield from self._delete(directory, path, name)

    def _selects(self, path: bytes) -> bool:
        return self._selection.selects(b"/" + path) and not self._selection.names(b"/" + path)

    def _delete(self, directory: Directory, path: bytes, name: bytes) -> Iterator[Deleted]:
        removal = remove_tree(
            directory,
            name,
            protected=self._protected,
            keeps=self._left_out.below(path),
            trial=self._run.options.dry_run,
            on_entry=self._on_entry,
        )
        try:
            for entry in removal:
                if isinstance(entry, Gone):
                    yield Deleted(join(path, entry.path), not entry.is_directory, entry.size)
                elif entry.failed:
                    yield Deleted(join(path, entry.path), failure=entry.reason)
        except (OSError, HoldfastError) as error:
            yield Deleted(join(path, name), failure=path_failure(error))

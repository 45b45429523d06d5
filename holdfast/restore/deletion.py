"""Removes from restored directories what the snapshot does not have; in a dry run only says what that would be."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from holdfast.errors import HoldfastError
from holdfast.ids import BlobId
from holdfast.restore.os_failures import path_failure
from holdfast.restore.run import RestoreRun
from holdfast.restore.selection import Selection
from holdfast.restore.target import protected_directories
from holdfast.safe_fs.directories import Directories, Directory, join
from holdfast.safe_fs.remove import remove_tree
from holdfast.safe_fs.temporary import is_temporary, run_mark


@dataclass(frozen=True, slots=True)
class Deleted:
    """One entry that is gone (or would be), with everything below it; or could not be removed."""

    path: bytes
    files: int = 1
    failure: str = ""


class Deletion:
    """Deletes in one directory after the other."""

    def __init__(self, run: RestoreRun, directories: Directories, on_entry: Callable[[], None]) -> None:
        self._run = run
        self._directories = directories
        self._on_entry = on_entry
        self._selection = Selection(run.options)
        self._mark = run_mark(run.run_id)
        self._protected = protected_directories(run)

    def in_directory(self, path: bytes, tree: BlobId) -> Iterator[Deleted]:
        """Everything in `path` that `tree` does not name and that the request's patterns select.

        As in restic, what the snapshot has but the patterns leave out is not touched either.
        """
        directory = self._directories.open(path)
        expected = {node.name for node in self._run.loader.load_tree(tree)}
        with os.scandir(directory.fd) as entries:
            names = sorted(os.fsencode(entry.name) for entry in entries)
        for name in names:
            self._on_entry()
            inside = join(path, name)
            if name not in expected and not is_temporary(name, self._mark) and self._selects(inside):
                yield self._delete(directory, inside, name)

    def _selects(self, path: bytes) -> bool:
        return self._selection.selects(b"/" + path)

    def _delete(self, directory: Directory, path: bytes, name: bytes) -> Deleted:
        if self._run.options.dry_run:
            return Deleted(path)
        try:
            removed = remove_tree(directory, name, protected=self._protected, on_entry=self._on_entry)
        except (OSError, HoldfastError) as error:
            return Deleted(path, failure=path_failure(error))
        return Deleted(path, files=removed.files)

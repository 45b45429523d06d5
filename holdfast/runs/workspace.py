"""The documents of a run, sealed with the repository's key: `holdfast/runs/<run>/<name>`, in its companion or on this
host (companion.py says where).

`<run>` is a keyed hash of the run's id, because ids name sources. How a document is sealed: sealed_folder.py.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Final

from holdfast.errors import StorageDeniedError
from holdfast.repository.companion import has_companion
from holdfast.repository.layout import RUNS
from holdfast.repository.repository import Repository
from holdfast.repository.sealed_folder import MAX_DOCUMENT_BYTES, SealedFolder

__all__ = ["MAX_DOCUMENT_BYTES", "StoredRun", "Workspace", "list_runs", "run_name"]

_RUN_PURPOSE: Final = b"holdfast run 2\0"
"""With the version of the documents' names and forms: a run of another one is not found, so it begins again."""
_RUN_NAME_LENGTH: Final = 32
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run that has documents. name: the keyed hash of its id. newest_ns: when the last of them was written."""

    name: str
    documents: int
    size_bytes: int
    newest_ns: int


class Workspace(SealedFolder):
    """The documents of one run."""

    hint: ClassVar[str] = "A document of a run is damaged: cancel the run, and start it again."

    def __init__(self, repository: Repository, run_id: str, *, name: str = "") -> None:
        """name: as a listing shows it, of a run whose id is not known."""
        name = name or run_name(repository, run_id)
        super().__init__(repository, f"{RUNS}/{name}", repository.workspaces)
        self.run_id = run_id

    def in_own_storage(self) -> SealedFolder | None:
        """The run's folder in the repository's own storage; None where that takes no such names."""
        own = SealedFolder(self.repository, self._folder, self.repository.storage, may_lack=True)
        return own if own.traits.any_name else None

    def delete(self) -> None:
        """Remove what tells of the documents in the repository's own storage (elsewhere.py), and then all of them.

        The other way round, a crash would leave a pointer to nothing, which no janitor looks for. Where nothing can be
        deleted, it stays: a small file for each run, that matters to nobody but who resumes this one.
        """
        own = self.in_own_storage()
        if has_companion(self.repository) and own is not None and own.traits.keeps_documents:
            try:
                own.delete()
            except StorageDeniedError as error:
                _LOG.info("what says where the documents of a run were stays: %s", error.message)
        super().delete()


def run_name(repository: Repository, run_id: str) -> str:
    """The folder name of a run: 32 hex digits, stable for the repository, telling nothing to others."""
    return repository.key.derive_secret(_RUN_PURPOSE + run_id.encode()).hex()[:_RUN_NAME_LENGTH]


def list_runs(repository: Repository) -> list[StoredRun]:
    """All runs that have documents."""
    documents: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    newest: dict[str, int] = {}
    for stored in repository.workspaces.list(RUNS):
        name = stored.name.removeprefix(f"{RUNS}/").partition("/")[0]
        documents[name] += 1
        sizes[name] += stored.size_bytes
        newest[name] = max(newest.get(name, 0), stored.modified_ns)
    return [
        StoredRun(name=name, documents=count, size_bytes=sizes[name], newest_ns=newest[name])
        for name, count in sorted(documents.items())
    ]

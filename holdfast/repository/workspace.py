"""The documents of a run, sealed with the repository's key, beside the repository: `holdfast/runs/<run>/<name>`.

`<run>` is a keyed hash of the run's id, because ids name sources. How a document is sealed: sealed_folder.py.
"""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Final

from holdfast.repository.layout import RUNS
from holdfast.repository.repository import Repository
from holdfast.repository.sealed_folder import MAX_DOCUMENT_BYTES, SealedFolder
from holdfast.storage.contract import check_name

__all__ = ["MAX_DOCUMENT_BYTES", "StoredRun", "Workspace", "list_runs", "remove_run", "run_name"]

_RUN_PURPOSE: Final = b"holdfast run\0"
_RUN_NAME_LENGTH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run that has documents. name: the keyed hash of its id."""

    name: str
    documents: int
    size_bytes: int


class Workspace(SealedFolder):
    """The documents of one run."""

    hint: ClassVar[str] = "A document of a run is damaged: cancel the run, and start it anew."

    def __init__(self, repository: Repository, run_id: str) -> None:
        super().__init__(repository, f"{RUNS}/{run_name(repository, run_id)}")


def run_name(repository: Repository, run_id: str) -> str:
    """The folder name of a run: 32 hex digits, stable for the repository, telling nothing to others."""
    return repository.key.derive_secret(_RUN_PURPOSE + run_id.encode()).hex()[:_RUN_NAME_LENGTH]


def list_runs(repository: Repository) -> list[StoredRun]:
    """All runs that have documents."""
    documents: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for stored in repository.storage.list(RUNS):
        name = stored.name.removeprefix(f"{RUNS}/").partition("/")[0]
        documents[name] += 1
        sizes[name] += stored.size_bytes
    return [
        StoredRun(name=name, documents=documents[name], size_bytes=sizes[name]) for name in sorted(documents)
    ]


def remove_run(repository: Repository, name: str) -> None:
    """Remove the documents of a run by its folder name."""
    repository.storage.delete_folder(check_name(f"{RUNS}/{name}"))

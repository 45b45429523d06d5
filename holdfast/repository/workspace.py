"""The documents of a run, sealed, beside the repository."""

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.repository.repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run that has documents; `name` is the keyed hash of its id."""

    name: str
    documents: int
    size_bytes: int


class Workspace:
    def __init__(self, repository: Repository, run_id: str) -> None:
        raise NotImplementedError

    def put(self, name: str, data: bytes) -> None:
        raise NotImplementedError

    def put_new(self, name: str, data: bytes) -> bool:
        raise NotImplementedError

    def get(self, name: str) -> bytes | None:
        raise NotImplementedError

    def list(self, folder: str = "") -> Iterator[str]:
        """Names of the documents under a folder, relative to the run."""
        raise NotImplementedError

    def remove(self, name: str) -> None:
        raise NotImplementedError

    def delete(self) -> None:
        raise NotImplementedError


def list_runs(repository: Repository) -> list[StoredRun]:
    raise NotImplementedError


def remove_run(repository: Repository, run_name: str) -> None:
    raise NotImplementedError

"""The repository's index files: read all of them into a map, write new ones."""

from collections.abc import Sequence

from holdfast.format.index import IndexPack
from holdfast.ids import IndexId
from holdfast.repository.index_map import IndexMap
from holdfast.repository.repository import Repository


class IndexLoader:
    """Keeps a map up to date with the index files."""

    index: IndexMap

    def __init__(self, repository: Repository) -> None:
        raise NotImplementedError

    def refresh(self) -> None:
        """Read the index files that were not read yet."""
        raise NotImplementedError


def load_index(repository: Repository) -> IndexMap:
    raise NotImplementedError


def write_index(repository: Repository, packs: Sequence[IndexPack]) -> list[IndexId]:
    raise NotImplementedError

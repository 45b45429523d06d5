"""This layer refuses every write, over a repository that is only read: what has no lock changes nothing.

What Holdfast writes of its own then lies elsewhere (repository/companion.py).
"""

from collections.abc import Iterable
from dataclasses import replace

from holdfast.errors import StorageDeniedError
from holdfast.storage.contract import Content, Storage, Traits
from holdfast.storage.layers.layer import Layer


class ReadOnly(Layer):
    """`below`, for reading."""

    def __init__(self, below: Storage) -> None:
        super().__init__(below)
        self._traits = replace(below.traits, creates_only=False, replaces=False)

    @property
    def traits(self) -> Traits:
        """See the contract."""
        return self._traits

    def put(self, name: str, data: Content) -> None:  # noqa: ARG002 -- the contract's
        """Refused."""
        raise self._denied(name)

    def put_new(self, name: str, data: Content) -> bool:  # noqa: ARG002 -- the contract's
        """Refused."""
        raise self._denied(name)

    def delete(self, name: str) -> None:
        """Refused."""
        raise self._denied(name)

    def delete_many(self, names: Iterable[str]) -> None:
        """Refused, unless there is nothing to remove."""
        for name in names:
            raise self._denied(name)

    def delete_folder(self, folder: str) -> None:
        """Refused."""
        raise self._denied(folder)

    def make_folders(self, folders: Iterable[str]) -> None:
        """Refused, unless there is nothing to make."""
        for folder in folders:
            raise self._denied(folder)

    def remove_leftovers(self, *, older_than_s: float, dry_run: bool = False) -> int:  # noqa: ARG002 -- the contract's
        """Nothing is removed."""
        return 0

    def _denied(self, name: str) -> StorageDeniedError:
        return StorageDeniedError(
            f"{self.location}: opened for reading only, and without a lock: {name} is not written",
            hint="Use a repository that can be written, without --no-lock.",
        )

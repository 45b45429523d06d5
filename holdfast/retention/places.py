"""Documents of retention are written to the companion, and looked for in the repository's own storage too.

What was held or forgotten before the settings named another place for the companion still counts, and what a medium
that is only read has. Documents in the companion of another host, of which these settings do not know, are not seen.
"""

from holdfast.repository.companion import has_companion
from holdfast.repository.documents import DocumentT, load
from holdfast.repository.repository import Repository
from holdfast.repository.sealed_folder import SealedFolder


class Places:
    """One folder of documents, in the companion and in the repository's own storage. kind: whose hint fits them."""

    def __init__(self, repository: Repository, folder: str, kind: type[SealedFolder]) -> None:
        self._folders = [kind(repository, folder)]
        if has_companion(repository) and repository.storage.traits.any_name:
            self._folders.append(kind(repository, folder, repository.storage, may_lack=True))

    @property
    def written(self) -> SealedFolder:
        """Where documents are written to."""
        return self._folders[0]

    def names(self) -> list[str]:
        """The names of all documents."""
        return sorted({name for folder in self._folders for name in folder.list()})

    def load(self, name: str, kind: type[DocumentT]) -> DocumentT | None:
        """A document; that of the companion where there are two.

        Raises:
            CorruptFileError: it cannot be read.
        """
        found = (load(folder, name, kind) for folder in self._folders)
        return next((document for document in found if document is not None), None)

    def load_all(self, kind: type[DocumentT]) -> list[DocumentT]:
        """All documents. Raises CorruptFileError as `load`."""
        found = (self.load(name, kind) for name in self.names())
        return [document for document in found if document is not None]

    def remove(self, name: str) -> None:
        """Remove a document wherever it is; one that is not there is fine."""
        for folder in self._folders:
            if folder.has(name):
                folder.remove(name)

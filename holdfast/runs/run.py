"""One run as the calls of a verb see it; verbs add their plan."""

from dataclasses import dataclass

from holdfast.repository.session import RepositorySession
from holdfast.runs.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run on an open repository."""

    session: RepositorySession
    run_id: str

    @property
    def workspace(self) -> Workspace:
        """Its documents."""
        return Workspace(self.session.repository, self.run_id)

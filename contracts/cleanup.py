"""Messages about the cleanup: what abandoned runs, crashes and drills have left behind, and what of it went."""

from dataclasses import dataclass, field
from typing import Final

from holdfast.contracts.common import RunPolicy
from holdfast.contracts.warrant import Warranted
from holdfast.terms import RunStatus

CLEANUP_WORKFLOW: Final = "Cleanup"
CLEAN_REPOSITORY: Final = "clean_repository"
CLEAN_SCRATCH: Final = "clean_scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupRequest(Warranted):
    """Input of the cleanup workflow, which a schedule starts each day.

    repositories: names, or tokens of request files. tries: how often a repository that is in use is looked at again.
    """

    repositories: tuple[str, ...]
    dry_run: bool = False
    tries: int = 1
    policy: RunPolicy = field(default_factory=RunPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanInput:
    """Asks for one repository to be cleaned (or this host's scratch directory, without one)."""

    repository: str = ""
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanedRun:
    """A workspace that went. run_id: empty where nobody knows whose it was. written_ns: when it was last used."""

    run_id: str
    size_bytes: int
    written_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryCleaned:
    """The part of one repository that went (or would go).

    runs: the first of them; run_count and run_bytes count all. leftovers: temporary files of crashes. in_use: the
    workspaces stayed, because the repository is in use. failure_kind, failure: why it could not be cleaned.
    """

    repository: str
    runs: tuple[CleanedRun, ...] = ()
    run_count: int = 0
    run_bytes: int = 0
    leftovers: int = 0
    in_use: bool = False
    failure_kind: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchCleaned:
    """The number of folders of killed drills that went."""

    folders: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupResult(Warranted):
    """The outcome of a cleanup. scratch: folders of killed drills that went (or would go).

    status: partial when a repository was in use, or could not be cleaned.
    """

    status: RunStatus
    repositories: tuple[RepositoryCleaned, ...]
    scratch: int
    dry_run: bool

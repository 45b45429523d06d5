"""Decides in this process what a policy would make go: for commands that only show it."""

from holdfast.errors import UsageError
from holdfast.repository.session import HeldRepository
from holdfast.retention.decision import Decision
from holdfast.retention.documents import ForgetOrder
from holdfast.retention.forget import decide_order
from holdfast.retention.holds import Proofs
from holdfast.service.settings.model import RepositoryProfile
from holdfast.service.settings.retention import rules_of
from holdfast.starter.shell.invocation import Invocation


def repository_and_source(invocation: Invocation, source: str) -> tuple[RepositoryProfile, str]:
    """The repository that is meant, and the source of the settings, if one is named.

    Raises:
        UsageError, SettingsError: there is no such source, or it is backed up elsewhere.
    """
    if not source:
        return invocation.repository(), ""
    profile = invocation.settings.source(source)
    repository = invocation.repository(profile.repository)
    if repository.name != profile.repository:
        raise UsageError(
            f"the source {source} is backed up to {profile.repository}",
            hint="Leave --repo out, or use --host and --path.",
        )
    return repository, source


def proofs_of(invocation: Invocation, repository: RepositoryProfile) -> Proofs:
    """What the journal knows of the repository's snapshots.

    Raises:
        JournalUnavailableError: it cannot be read.
    """
    from holdfast.control.journal import open_journal  # noqa: PLC0415 - SQLAlchemy, for those alone who ask
    from holdfast.service.journal.proofs import proofs  # noqa: PLC0415 - as above

    return proofs(open_journal(invocation.settings, invocation.environ), repository.name)


def decided(
    invocation: Invocation,
    held: HeldRepository,
    repository: RepositoryProfile,
    order: ForgetOrder,
    proofs: Proofs,
    now_ns: int,
) -> Decision:
    """What an order would make go, and what stays, with the reasons. Raises as `decide_order`."""
    return decide_order(held, order, rules_of(invocation.settings, repository.name), proofs, now_ns)

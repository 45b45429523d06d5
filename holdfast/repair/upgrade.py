"""A repository of version 1 becomes one of version 2, which compresses. Source: restic, internal/migrations.

Only the config changes: what is stored stays valid, and what comes from then on is compressed.

    1. the structure is verified: what is damaged is not touched;
    2. under the exclusive lock the config is read again, and replaced by one with the same id and polynomial.

The storage replaces a file at once, so a crash leaves one version or the other. Where it cannot replace files this is
refused: restic removes the config first there, and a crash then leaves a repository that nobody can open.

Processes that have the repository open see that its config is another one, and open it again.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from holdfast.errors import CorruptFileError, UsageError
from holdfast.format.config import decode_config, encode_config
from holdfast.repository.exclusive import WAIT_FOR_OTHERS_S, ExclusiveLock
from holdfast.repository.layout import CONFIG
from holdfast.repository.repository import Repository, stored_config
from holdfast.repository.session import RepositorySession
from holdfast.units import counted
from holdfast.verify.trees import walk_structure

UPGRADE: Final = "upgrade_repo_v2"
"""restic's name of the migration."""
_FROM, _TO = 1, 2


def can_upgrade(repository: Repository) -> bool:
    """Whether there is anything to do."""
    return repository.version == _FROM


def upgrade(session: RepositorySession, on_step: Callable[[], None] = lambda: None) -> None:
    """Make a repository of version 1 one of version 2. The session is of no use afterwards: close it.

    on_step: called often; may raise to stop.

    Raises:
        UsageError: it is of another version, or its storage cannot replace files.
        CorruptFileError: something is damaged; nothing was changed.
        RepositoryLockedError: another process uses it, and did not go in time. LockLostError: nothing was changed.
    """
    repository = session.repository
    storage = repository.storage
    if not storage.traits.replaces:
        raise UsageError(
            f"{storage.location}: the config cannot be replaced there in one step",
            hint="Copy the repository to another place, or let `restic migrate` do it, after a copy of `config`.",
        )
    with session.hold() as held:
        report, _ = walk_structure(held, (), lambda _trees, _bytes: on_step())
        held.confirm()
    if not report.ok:
        raise CorruptFileError(
            f"{storage.location}: {counted(report.problem_count, 'problem was', 'problems were')} found: "
            "nothing was changed",
            hint="`holdfast verify` names them; `holdfast repair` mends the repository.",
        )
    with ExclusiveLock(repository, wait_s=WAIT_FOR_OTHERS_S) as lock:
        config = decode_config(stored_config(storage), repository.sealer())
        if config.version != _FROM:
            raise UsageError(
                f"{storage.location}: of version {config.version} already", hint="There is nothing to do."
            )
        lock.check()
        upgraded = msgspec.structs.replace(config, version=_TO)
        storage.put(CONFIG, encode_config(upgraded, repository.sealer()))

"""A service removes locks of this host's killed processes when it begins.

A run removes those of its own workers when it ends. What is left is from runs that never did: the power failed, or
everything was killed. A repository without any lock is not opened for that, because deriving its key costs a second.
"""

import logging
from typing import Final

from holdfast.errors import HoldfastError
from holdfast.repository.layout import LOCKS, list_ids
from holdfast.repository.lock_files import remove_dead_locks
from holdfast.repository.repository import Repository
from holdfast.service.settings.credentials import open_place
from holdfast.service.settings.model import Settings
from holdfast.service.settings.passwords import PasswordBook
from holdfast.storage.locations import is_read_only

_LOG: Final = logging.getLogger("holdfast.service")


def remove_own_dead_locks(settings: Settings, passwords: PasswordBook) -> None:
    """Look through the repositories of the settings. What cannot be opened now is left as it is, with a word."""
    for profile in settings.repositories.values():
        try:
            storage = open_place(profile, passwords.environ, settings.state_dir)
            if is_read_only(storage) or next(list_ids(storage, LOCKS), None) is None:
                continue
            removed = remove_dead_locks(Repository.open(storage, passwords.password_for(profile)))
        except HoldfastError as error:
            _LOG.info("locks of %s were not looked at: %s", profile.name, error.message)
            continue
        if removed:
            _LOG.info("%s: removed %d locks of processes that have ended", profile.name, removed)

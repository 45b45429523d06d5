"""The activities of one worker process share its services: settings, passwords, open repositories, the journal.

Workflows name repositories and sources; here the names are resolved, by the settings or by a private request file.
An open repository is kept with its storage and the connections of that, because opening it and loading its index are
the costly part of a small activity; what those have loaded that were not used lately is let go. `close` gives all of it
back when the worker ends. Nothing is opened before the first use: a process that forks hands on services that nobody
has used yet, and the child opens what it needs itself.

A repository that was deleted and created again under the same location has another key, and nothing may be written into
it with the old one. So its config file is compared with the one that was opened, before each use that begins without
the lock. While this process holds the lock nobody needs to look: the lock's file would have gone with the repository,
and it is looked for before anything that others will believe is written.
"""

import gc
import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from holdfast import heap
from holdfast.activities.recorder import Recorder
from holdfast.activities.veil import VEIL
from holdfast.backup.store.claims import ClaimTable
from holdfast.buffers import BUFFERS
from holdfast.contracts.identity import is_token
from holdfast.contracts.veiled import REPOSITORY, STATE_DIR, TARGET
from holdfast.errors import SettingsError
from holdfast.repository.caching import join_cache
from holdfast.repository.companion import join_companion
from holdfast.repository.index.shared import SharedIndex
from holdfast.repository.lock_notes import LockNotes
from holdfast.repository.repository import stored_config
from holdfast.repository.session import RepositorySession
from holdfast.repository.shared_keys import SharedKeys
from holdfast.repository.sharing import open_sharing
from holdfast.restore.request import RestoreOptions, SystemRestoreOrder
from holdfast.retention.documents import ForgetOrder
from holdfast.service.scheduled_restore import is_scheduled
from holdfast.service.settings.commands import harmless
from holdfast.service.settings.credentials import open_place, source_of
from holdfast.service.settings.exclude_files import resolve
from holdfast.service.settings.guard import GuardOrder
from holdfast.service.settings.model import RepositoryProfile, Settings, SourceProfile
from holdfast.service.settings.passwords import PasswordBook
from holdfast.service.settings.request_uses import RequestUse, check_use, end_use, take_request, use_of
from holdfast.service.settings.requests import (
    RepositoryOrder,
    SourceOrder,
    is_once,
    read_request,
    write_request,
)
from holdfast.storage.contract import Storage
from holdfast.storage.layers.read_only import ReadOnly
from holdfast.storage.locations import is_read_only
from holdfast.verify.documents import VerifyOrder

_LOG: Final = logging.getLogger(__name__)
_LOCK_NOTES: Final = "locks"
KEPT_AWAKE: Final = 1
"""So many repositories keep index and trees when nobody uses them: some 60 MiB each after 46,000 small files."""
UNUSED_S: Final = 600.0
"""For how long they keep them when nothing happens: a schedule of hours has little of it."""
QUIET_S: Final = 60.0
"""After so long without work, what it has freed goes back to the system, and buffers that waited for more work."""


@dataclass(slots=True, kw_only=True)
class _Opened:
    """A session, and the config file that its repository had when it was opened: another one is another repository.

    storage: without layers of ours. awake: what it has loaded was not let go since. used_at: when it was last asked
    for, by the monotonic clock. may_be_another: nobody has looked at that file since a run began.
    """

    session: RepositorySession
    storage: Storage
    profile: RepositoryProfile
    config: bytes
    awake: bool = True
    may_be_another: bool = False
    used_at: float = field(default_factory=time.monotonic)

    @property
    def is_certain(self) -> bool:
        """Whether the repository is the one that was opened, without a look at its config: a lock of ours is in it."""
        return self.session.lease.is_kept and not self.may_be_another

    def use(self) -> RepositorySession:
        """The session, for one use."""
        self.awake, self.used_at = True, time.monotonic()
        return self.session


class Services:
    """The services of one process. Thread-safe; everything here blocks and belongs into a thread."""

    def __init__(
        self,
        *,
        settings: Settings,
        passwords: PasswordBook,
        journal: Recorder,
        username: str,
        environ: Mapping[str, str],
        claims: ClaimTable | None = None,
        shared_keys: SharedKeys | None = None,
        shared_index: SharedIndex | None = None,
    ) -> None:
        """claims: where the processes of a host tell each other what they are storing, as they do with shared_keys
        what they have opened, and with shared_index what that holds; without them, this one is by itself."""
        self._shared_index = shared_index
        self._shared_keys = shared_keys or SharedKeys()
        self.claims = claims or ClaimTable()
        self.journal = journal
        self.username = username
        self._settings = settings
        self._passwords = passwords
        self._environ = environ
        self._cache = settings.cache.cache()
        self._lock = threading.Lock()
        self._opened: dict[str, _Opened] = {}
        self._given_back_at = 0.0
        VEIL.cover(str(settings.state_dir), STATE_DIR)

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return self._settings

    def tells_of(self, subject: str) -> bool:
        """Whether anybody wants to know how runs of this source or selection end."""
        profile = self._settings.sources.get(subject)
        return self._settings.notices.is_wanted or (profile is not None and profile.ping_url is not None)

    @property
    def environ(self) -> Mapping[str, str]:
        """This process's environment: it may hold secrets, so no child gets it whole."""
        return self._environ

    @property
    def host(self) -> str:
        """The name that this host goes by in snapshots."""
        return self._settings.host

    def repository(self, name: str) -> RepositoryProfile:
        """The repository that a workflow calls by this name.

        Raises:
            SettingsError: there is none, or its request file is gone.
        """
        if is_token(name):
            profile = read_request(self._settings.state_dir, name, RepositoryOrder).profile(name)
        else:
            profile = self._settings.repository(name)
        VEIL.cover(profile.location, REPOSITORY)
        if profile.companion:
            VEIL.cover(profile.companion, REPOSITORY)
        return profile

    def source(self, name: str) -> SourceProfile:
        """The source of this name, with the patterns of its exclude files.

        Raises:
            SettingsError: there is none, its request file is gone, or an exclude file cannot be read.
        """
        if is_token(name):
            profile = read_request(self._settings.state_dir, name, SourceOrder).profile(name)
        else:
            profile = self._settings.source(name)
        if profile.spec.command:
            spec = replace(profile.spec, command_environ=harmless(self._environ))
            return replace(profile, spec=spec)
        return resolve(profile, self._passwords.environ)

    def store_order(self, order: msgspec.Struct, *, once: str) -> str:
        """Keep an order in a private request file; its token. once: what makes it this order and no other.

        Raises:
            StorageFullError, StorageDeniedError: the state directory cannot take it.
        """
        return write_request(self._settings.state_dir, order, once=once)

    def take_restore(self, token: str, run_id: str) -> RestoreOptions:
        """Read what a restore was asked to do, for the run that begins with it.

        Raises:
            SettingsError: the request file is gone, or the settings declare this scheduled restore no more.
            UsageError: it was asked once, and another run does it or has done it.
        """
        options = self._restore_options(token)
        if is_once(self._settings.state_dir, token):
            take_request(self._settings.state_dir, token, run_id)
        elif not is_scheduled(self._settings, options):
            raise SettingsError(
                "the settings declare no such restore",
                hint="`holdfast schedule apply` brings schedules up to date.",
            )
        return options

    def restore_options(self, token: str, run_id: str) -> RestoreOptions:
        """The same for a run that has begun.

        Raises:
            SettingsError, UsageError: as `take_restore`; or it is over.
        """
        options = self._restore_options(token)
        if is_once(self._settings.state_dir, token):
            check_use(self._settings.state_dir, token, run_id)
        return options

    def end_restore(self, token: str, use: RequestUse) -> None:
        """Let the order be used no more: its run has reached its end."""
        if is_once(self._settings.state_dir, token):
            end_use(self._settings.state_dir, token, use)

    def restore_use(self, token: str) -> RequestUse | None:
        """Say which run uses an order."""
        return use_of(self._settings.state_dir, token)

    def take_system_restore(self, token: str, run_id: str) -> SystemRestoreOrder:
        """Read which system a person of this host wants back, and where to, for the run that does it.

        Raises:
            SettingsError: there is no such request here.
            UsageError: another run has used it.
        """
        order = read_request(self._settings.state_dir, token, SystemRestoreOrder)
        take_request(self._settings.state_dir, token, run_id)
        return order

    def take_forget(self, token: str, run_id: str) -> ForgetOrder:
        """Read what a person of this host wants forgotten, for the run that does it.

        Raises:
            SettingsError: there is no such request here.
            UsageError: another run has used it.
        """
        order = read_request(self._settings.state_dir, token, ForgetOrder)
        take_request(self._settings.state_dir, token, run_id)
        return order

    def guard_order(self, token: str) -> GuardOrder:
        """By which policy a person of this host wants a source looked at.

        Raises:
            SettingsError: there is no such request here.
        """
        return read_request(self._settings.state_dir, token, GuardOrder)

    def _restore_options(self, token: str) -> RestoreOptions:
        options = read_request(self._settings.state_dir, token, RestoreOptions)
        if options.target is not None:
            VEIL.cover(os.fsdecode(options.target), TARGET)
        return options

    def verify_order(self, token: str) -> VerifyOrder:
        """Read which snapshots a verification was asked to check.

        Raises:
            SettingsError: the request file is gone.
        """
        return read_request(self._settings.state_dir, token, VerifyOrder)

    def session(self, name: str, *, looks: bool = True) -> RepositorySession:
        """The open repository of this name. looks: see whether it is still the same one; for what takes no lock, and so
        writes nothing to it, one that was opened before will do.

        Raises:
            RepositoryNotFoundError, WrongPasswordError, PasswordMissingError, UnsupportedRepositoryError,
            StorageUnavailableError, StorageDeniedError, SettingsError.
        """
        profile = self.repository(name)
        with self._lock:
            known = self._opened.get(name)
            if known is not None and known.profile != profile:
                known = None
        storage = (
            open_place(profile, self._environ, self._settings.state_dir) if known is None else known.storage
        )
        locked = not (profile.no_lock or is_read_only(storage))
        if known is not None and known.session.locked == locked and (known.is_certain or not looks):
            return known.use()
        config = stored_config(storage)
        with self._lock:
            opened = self._opened.get(name)
            is_same = opened is not None and opened.profile == profile and opened.config == config
            if opened is not None and is_same and opened.session.locked == locked:
                if opened.storage is not storage:
                    storage.close()
                opened.may_be_another = False
                return opened.use()
            password = self._passwords.password_for(profile)
            readable = storage if locked else ReadOnly(storage)
            repository = open_sharing(readable, password, config, self._shared_keys)
            join_cache(repository, self._cache)
            credentials = source_of(profile.credentials, self._environ)
            join_companion(
                repository,
                profile.companion,
                self._settings.state_dir,
                credentials,
                own_server=self._settings.server.address is None,
            )
            session = RepositorySession(
                repository,
                compression=profile.compression,
                pack_size_bytes=profile.pack_size_bytes,
                shared_index=self._shared_index,
                locked=locked,
                one_host=self._settings.server.address is None,
                lock_notes=LockNotes(self._settings.state_dir / _LOCK_NOTES / repository.id),
            )
            if not locked:
                _LOG.warning("%s is only read: nothing is locked or written there", storage.location)
            if opened is not None:  # who still uses them opens them again
                before = opened.session.repository
                for place in before.storages[1:]:
                    place.close()
                if opened.storage is not storage:
                    opened.storage.close()
            self._opened[name] = _Opened(session=session, profile=profile, storage=storage, config=config)
            return session

    def alias(self, name: str) -> str:
        """The name by which the server knows a repository whose runs can stand aside; empty where none is locked."""
        session = self.session(name)
        return session.repository.alias if session.locked else ""

    def begin_run(self, name: str) -> None:
        """A run of this repository begins: another repository may lie there since the last one ended."""
        with self._lock:
            opened = self._opened.get(name)
            if opened is not None:
                opened.may_be_another = True

    def end_run(self, name: str) -> None:
        """A run of this repository has ended: no worker that was killed in it leaves a lock behind."""
        self.session(name, looks=False).remove_dead_locks()

    def let_rest(self, unused_s: float = UNUSED_S, quiet_s: float = QUIET_S) -> None:
        """Have repositories that were not asked for so long, and all but a few, let go of what they have loaded.

        Those that are in use are left alone, however old or many. What work has freed goes back to the system once
        nothing was used for quiet_s: what comes soon would only ask for it again. To be called now and then.
        """
        long_ago = time.monotonic() - unused_s
        with self._lock:
            awake = [opened for opened in self._opened.values() if opened.awake]
            awake.sort(key=lambda opened: opened.used_at, reverse=True)
            tired = [
                opened
                for place, opened in enumerate(awake)
                if place >= KEPT_AWAKE or opened.used_at < long_ago
            ]
            for opened in tired:
                opened.awake = False
        for opened in tired:
            if not opened.session.rest():
                opened.awake = True
        with self._lock:
            last = max((opened.used_at for opened in self._opened.values()), default=0.0)
            is_held = any(opened.session.lease.is_held for opened in self._opened.values())
            is_quiet = last > self._given_back_at and last <= time.monotonic() - quiet_s and not is_held
            if is_quiet:
                self._given_back_at = last
        if is_quiet:
            BUFFERS.let_go()
            gc.collect()  # what failed may lie in cycles, and by itself the collector hardly ever looks at all of them
            heap.give_back()

    def close(self) -> None:
        """Give up all locks."""
        with self._lock:
            for opened in self._opened.values():
                opened.session.close()
            self._opened.clear()

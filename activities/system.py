"""The activities of systems: what a system is, what its members are on their hosts, which snapshots they have."""

import os
import time
from collections.abc import Mapping
from typing import Final

from temporalio import activity

from holdfast.activities.calls import EngineCall
from holdfast.activities.hooks import hook_refs
from holdfast.activities.steps import Activities, step
from holdfast.activities.system_records import begun, ended, findings
from holdfast.activities.veil import VEIL
from holdfast.backup.opening import snapshot_paths
from holdfast.contracts import names
from holdfast.contracts.identity import task_queue
from holdfast.contracts.system import (
    MEMBER_TAG,
    SYSTEM_RUN_TAG,
    SYSTEM_TAG,
    FindInput,
    Found,
    FoundSnapshot,
    LogSystemInput,
    Member,
    MemberHost,
    OpenSystemInput,
    Prepared,
    PrepareInput,
    Resolved,
    ResolveInput,
    SystemOpened,
)
from holdfast.contracts.veiled import TARGET
from holdfast.errors import SettingsError, UsageError
from holdfast.format.tags import is_partial
from holdfast.ids import short, to_hex
from holdfast.repository.choice import Choice
from holdfast.repository.snapshots import (
    StoredSnapshot,
    is_ahead,
    list_snapshots,
    raise_unreadable,
)
from holdfast.restore.request import RestoreOptions
from holdfast.service.settings.model import SourceProfile
from holdfast.service.settings.systems import MemberName, SystemProfile

_MOST_FOUND: Final = 200
_MOST_AHEAD: Final = 5


class SystemActivities(Activities):
    """Says what this host knows of a system, or of a member of one."""

    @step(names.OPEN_SYSTEM)
    def open(self, message: OpenSystemInput, _: EngineCall) -> SystemOpened:
        """Look the system up, and write the journal's first record."""
        queue = activity.info().task_queue
        settings = self._services.settings
        profile = settings.system(message.run.source)
        elsewhere = _target_hosts(profile, message.hosts)
        order = profile.restore_order if message.is_restore else profile.members
        members = tuple(self._member(name, queue, elsewhere.get(name.label, "")) for name in order)
        self._services.journal.record(begun(message, host=self._services.host))
        return SystemOpened(
            members=members,
            before=hook_refs(settings, profile.before),
            after=hook_refs(settings, profile.after),
            repository=profile.repository,
            busy_wait_s=profile.busy_wait_s,
        )

    @step(names.RESOLVE_MEMBER)
    def resolve(self, message: ResolveInput, _: EngineCall) -> Resolved:
        """Say what a source's name means on this host."""
        source = self._services.settings.source(message.source)
        return Resolved(
            repository=source.repository,
            host=self._services.host,
            strategy=source.strategy,
            verify=source.verify,
            tags=source.tags,
            window=2 * self._services.settings.worker.processes,
        )

    @step(names.FIND_MEMBER)
    def find(self, message: FindInput, _: EngineCall) -> Found:
        """The snapshots of a member."""
        profile = self._services.settings.sources.get(message.member.source)
        repository = message.repository if profile is None else profile.repository
        if not repository:
            raise SettingsError(
                f"the settings of {self._services.host} have no source {message.member.source!r}",
                hint=f"Add it there, or a repository to [systems.{message.system}].",
            )
        stored = list_snapshots(self._services.session(repository).repository, on_unreadable=raise_unreadable)
        found = [
            snapshot
            for snapshot in reversed(stored)
            if _is_of(snapshot, message, profile)
            and (not message.as_of_ns or snapshot.time_ns <= message.as_of_ns)
        ]
        now_ns = time.time_ns()
        ahead = [snapshot for snapshot in found if is_ahead(snapshot, now_ns)]
        if not message.as_of_ns:  # one wrong clock would hide all later backups
            found = [snapshot for snapshot in found if snapshot not in ahead] or found
        return Found(
            repository=repository,
            host=self._services.host,
            snapshots=tuple(_found(snapshot, message.system) for snapshot in found[:_MOST_FOUND]),
            window=2 * self._services.settings.worker.processes,
            ahead=tuple(short(snapshot.id) for snapshot in ahead[:_MOST_AHEAD]),
        )

    @step(names.PREPARE_MEMBER)
    def prepare(self, message: PrepareInput, _: EngineCall) -> Prepared:
        """Write down on this host what the restore of a member is to do."""
        member = message.member
        profile = self._services.settings.sources.get(member.source)
        target = self._target(message)
        to_command = ""
        if profile is not None and profile.spec.command and target is None:
            if not profile.restore_command:
                raise SettingsError(
                    f"the source {member.source!r} is a command's output and has no restore_command",
                    hint=f"Add it to [sources.{member.source}] on {self._services.host}, or restore to a --target.",
                )
            to_command = member.source
        options = RestoreOptions(snapshot=message.snapshot_id, target=target, to_command=to_command)
        mark = f"{message.run.run_id} {member.label}"
        return Prepared(selection=self._services.store_order(options, once=mark), to_command=to_command)

    @step(names.LOG_SYSTEM)
    def log(self, message: LogSystemInput, _: EngineCall) -> None:
        """Write the run's record, with what is and what is not recoverable."""
        journal = self._services.journal
        journal.record(ended(message, host=self._services.host))
        if message.members:
            journal.set_verdict(message.run.run_id, findings(message))

    def _member(self, name: MemberName, own_queue: str, target_host: str) -> Member:
        host = name.host or self._services.host
        acting = target_host or host
        return Member(
            label=name.label,
            source=name.source,
            host=host,
            queue=own_queue if acting == self._services.host else task_queue(acting, ""),
            target_host=target_host,
        )

    def _target(self, message: PrepareInput) -> bytes | None:
        """Where the member goes, as the request of a person of this host says; None for its original place.

        Another host's request is not here. Its folder is unknown, so only the original places can be meant, and those
        are written when this host's settings say that the member, or the system, is its business.

        Raises:
            SettingsError, UsageError: nobody on this host has asked for it, or for something else.
        """
        try:
            order = self._services.take_system_restore(message.order, message.run.run_id)
        except SettingsError:
            self._check_asked_elsewhere(message)
            return None
        if order.system != message.run.source or (order.target is None) != message.in_place:
            raise UsageError("the request is of another recovery", hint="Repeat the command.")
        if order.target is None:
            return None
        VEIL.cover(os.fsdecode(order.target), TARGET)
        return os.path.join(order.target, message.member.label.encode())

    def _check_asked_elsewhere(self, message: PrepareInput) -> None:
        settings = self._services.settings
        if not message.in_place:
            raise SettingsError(
                f"the workers of {self._services.host} do not know the --target: the server is not told of paths",
                hint="Restore to the original places, or restore this member with a command on that host.",
            )
        is_ours = message.member.source in settings.sources or message.run.source in settings.systems
        if settings.server.address is None or not is_ours:
            raise SettingsError(
                f"nobody on {self._services.host} has asked for a recovery in place of {message.run.source!r}",
                hint=f"Start it there; or add [sources.{message.member.source}] to the settings of that host.",
            )


def _target_hosts(profile: SystemProfile, hosts: tuple[MemberHost, ...]) -> Mapping[str, str]:
    """Other hosts by label; a source's name means its member where there is one of that name only.

    Raises:
        SettingsError: the system has no such member, or several.
    """
    found: dict[str, str] = {}
    for wanted in hosts:
        exact = [name.label for name in profile.members if name.label == wanted.member]
        labels = exact or [name.label for name in profile.members if name.source == wanted.member]
        if len(labels) != 1:
            raise SettingsError(
                f"the system {profile.name!r} has {len(labels) or 'no'} sources {wanted.member!r}",
                hint=f"Name one of: {', '.join(name.label for name in profile.members)}.",
            )
        found[labels[0]] = wanted.host
    return found


def _is_of(stored: StoredSnapshot, message: FindInput, profile: SourceProfile | None) -> bool:
    """Whether a snapshot is the member's: by its tags, or as one that the source made on its own."""
    tags = set(stored.snapshot.tags or ())
    if {SYSTEM_TAG + message.system, MEMBER_TAG + message.member.label} <= tags:
        return True
    if profile is None:
        return False
    hosts = (profile.host or message.member.host,)
    return Choice(hosts=hosts, paths=tuple(snapshot_paths(profile.spec))).takes(stored.snapshot)


def _found(stored: StoredSnapshot, system: str) -> FoundSnapshot:
    tags = stored.snapshot.tags or ()
    runs = [tag.removeprefix(SYSTEM_RUN_TAG) for tag in tags if tag.startswith(SYSTEM_RUN_TAG)]
    of_system = SYSTEM_TAG + system in tags
    return FoundSnapshot(
        snapshot_id=to_hex(stored.id),
        time_ns=stored.time_ns,
        system_run=runs[0] if runs and of_system else "",
        partial=is_partial(stored.snapshot),
    )

"""Makes of the settings what a schedule is to do: its id, the run that it starts, and its entry.

The entry is everything that makes the schedule what it is, as plain values without a path. It goes with the schedule to
the server, so that the next `apply` sees what was declared before, and what differs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Final, TypeVar
from zoneinfo import available_timezones

from holdfast.contracts.backup import BackupRequest
from holdfast.contracts.common import Trigger, TriggerKind
from holdfast.contracts.drill import DrillRequest
from holdfast.contracts.forget import ForgetRequest
from holdfast.contracts.guard import GuardRequest
from holdfast.contracts.prune import PruneRequest
from holdfast.contracts.restore import RestoreRequest
from holdfast.contracts.scheduled import Busy, ScheduledRun
from holdfast.contracts.system import SystemBackupRequest
from holdfast.contracts.verbs import Request
from holdfast.contracts.verify import VerifyRequest
from holdfast.control import requests
from holdfast.errors import UsageError
from holdfast.service.scheduled_restore import scheduled_options
from holdfast.service.settings.model import Settings
from holdfast.service.settings.retention import rules_of
from holdfast.service.settings.schedules import ScheduleSettings
from holdfast.terms import Strategy, VerifyLevel

RequestT = TypeVar("RequestT")
PREFIX: Final = "holdfast"
_DEFAULT_SHARE: Final = "day/7"
_PRIVATE: Final = ("target", "include")
"""Keys that hold paths: the selection's token stands for them."""
_BUSY: Final = {"buffer_one": Busy.WAIT, "buffer_all": Busy.WAIT, "allow_all": Busy.BESIDE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One schedule as it should be. entry: what is compared with the server's."""

    id: str
    queue: str
    settings: ScheduleSettings
    order: ScheduledRun
    entry: Mapping[str, object]


def schedule_id(host: str, subject: str, name: str) -> str:
    """`holdfast.HOST.SOURCE.NAME`; a system or a repository stands in the source's place where there is no source."""
    return f"{PREFIX}.{host}.{subject}.{name}"


def declarations(settings: Settings) -> list[Declaration]:
    """All schedules that the settings declare, by id.

    Raises:
        UsageError: two have one id, or one needs a time zone where there is no database of them.
        StorageDeniedError, StorageFullError: a restore's request file cannot be written.
    """
    found: dict[str, Declaration] = {}
    zones = available_timezones()
    for schedule in _all(settings):
        if not zones and schedule.time_zone != "UTC":
            raise UsageError(
                f"the schedule {schedule.name} needs the time zone {schedule.time_zone}, "
                "and this host has no database of time zones",
                hint='Install it (Debian: apt-get install tzdata), or write time_zone = "UTC".',
            )
        declared = _declare(settings, schedule)
        if declared.id in found:
            raise UsageError(
                f"two schedules are called {declared.id}", hint='Give one of them another name = "…".'
            )
        found[declared.id] = declared
    return [found[name] for name in sorted(found)]


def _all(settings: Settings) -> Iterator[ScheduleSettings]:
    for source in settings.sources.values():
        yield from source.schedules
    yield from settings.schedules


def _declare(settings: Settings, schedule: ScheduleSettings) -> Declaration:
    subject, repository = _subject(settings, schedule)
    name = schedule_id(settings.host, subject, schedule.name)
    request = _request(settings, schedule, name, repository)
    order = ScheduledRun(
        schedule=name,
        workflow_id=requests.workflow_id_of(settings, request),
        busy=_BUSY.get(schedule.overlap, Busy.SKIP),
        backup=_if_of(BackupRequest, request),
        restore=_if_of(RestoreRequest, request),
        verify=_if_of(VerifyRequest, request),
        drill=_if_of(DrillRequest, request),
        guard=_if_of(GuardRequest, request),
        prune=_if_of(PruneRequest, request),
        system=_if_of(SystemBackupRequest, request),
        forget=_if_of(ForgetRequest, request),
    )
    queue = requests.queue_of_run(settings, request)
    entry: dict[str, object] = {key: value for key, value in asdict(schedule).items() if key not in _PRIVATE}
    entry |= {"host": settings.host, "queue": queue, "run": asdict(order)}
    return Declaration(id=name, queue=queue, settings=schedule, order=order, entry=_said(entry))


def _if_of(kind: type[RequestT], request: Request) -> RequestT | None:
    return request if isinstance(request, kind) else None


def _subject(settings: Settings, schedule: ScheduleSettings) -> tuple[str, str]:
    """What the schedule is about, and its repository: empty for a system, whose members have their own."""
    if schedule.kind == "system":
        return schedule.system, ""
    source = settings.drill(schedule.drill).source if schedule.drill else schedule.source
    repository = schedule.repository or settings.source(source).repository
    return source or repository, repository


def _said(entry: Mapping[str, object]) -> dict[str, object]:
    """Without what says nothing: a memo has room for 2 KiB."""
    cleaned = {key: _said(value) if isinstance(value, dict) else value for key, value in entry.items()}
    return {key: value for key, value in cleaned.items() if value not in (None, "", (), [], {})}


def _request(settings: Settings, schedule: ScheduleSettings, name: str, repository: str) -> Request:
    trigger, policy = Trigger(kind=TriggerKind.SCHEDULE, by=name), requests.run_policy(settings)
    match schedule.kind:
        case "backup":
            source = settings.source(schedule.source)
            return BackupRequest(
                repository=repository,
                source=schedule.source,
                strategy=schedule.strategy or source.strategy,
                trigger=trigger,
                verify=schedule.verify or source.verify,
                policy=policy,
            )
        case "restore":
            return RestoreRequest(
                repository=repository,
                selection=requests.store(settings, scheduled_options(settings, schedule)),
                trigger=trigger,
                verify=VerifyLevel.FULL,
                policy=policy,
            )
        case "verify":
            share = schedule.share or _DEFAULT_SHARE
            return VerifyRequest(repository=repository, share=share, trigger=trigger, policy=policy)
        case "prune":
            return PruneRequest(repository=repository, trigger=trigger, policy=policy)
        case "guard":
            return GuardRequest(repository=repository, source=schedule.source, trigger=trigger, policy=policy)
        case "retention":
            if rules_of(settings, repository).is_empty:
                raise UsageError(
                    f"the schedule {name} is to forget by a policy, and the settings have none for {repository}",
                    hint="Write a table [sources.NAME.retention] or [repositories.NAME.retention].",
                )
            return ForgetRequest(
                repository=repository, source=schedule.source, trigger=trigger, policy=policy
            )
        case "system":
            return SystemBackupRequest(
                system=settings.system(schedule.system).name,
                strategy=schedule.strategy or Strategy.AUTO,
                trigger=trigger,
                policy=policy,
            )
    return DrillRequest(
        repository=repository,
        drill=schedule.drill,
        source="" if schedule.drill else schedule.source,
        sample=schedule.share or "all",
        trigger=trigger,
        policy=policy,
    )

"""Restores that the settings declare: what a schedule brings back, and whether one does."""

import os

from holdfast.repository.choice import ALL, Choice
from holdfast.restore.request import RestoreOptions
from holdfast.service.settings.choice import of_source
from holdfast.service.settings.model import Settings
from holdfast.service.settings.schedules import ScheduleSettings

_RESTORE = "restore"


def scheduled_options(settings: Settings, schedule: ScheduleSettings) -> RestoreOptions:
    """What a scheduled restore brings back; "latest" is that of the source, where one is named.

    Raises:
        UsageError, TargetError: the schedule contradicts itself.
    """
    source = settings.sources.get(schedule.source)
    options = RestoreOptions(
        snapshot=schedule.snapshot,
        which=ALL if source is None else Choice(source=of_source(settings, source)),
        target=os.fsencode(schedule.target),
        includes=tuple(os.fsencode(pattern) for pattern in schedule.include),
        overwrite=schedule.overwrite,
    )
    options.check()
    return options


def is_scheduled(settings: Settings, options: RestoreOptions) -> bool:
    """Whether a schedule of these settings is of exactly this restore; they may have changed since it was applied."""
    return any(
        schedule.kind == _RESTORE and scheduled_options(settings, schedule) == options
        for schedule in settings.schedules
    )

"""Schedules: `[[sources.NAME.schedules]]` for backups of that source, `[[schedules]]` for everything else.

What a schedule does and when, as a person declares it. The server gets it from `holdfast schedule apply`; nothing here
knows how.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from zoneinfo import available_timezones

import msgspec

from holdfast.service.settings import values
from holdfast.service.settings.document import Duration, convert_table
from holdfast.service.settings.naming import check_known
from holdfast.service.settings.paths import PathRules
from holdfast.service.settings.place import Place
from holdfast.service.settings.schedule_times import CalendarRule, calendar_rule, check_cron
from holdfast.terms import LATEST, Overwrite, Strategy, VerifyLevel

KINDS: Final = ("backup", "restore", "verify", "drill", "guard", "system", "retention", "prune")
OVERLAPS: Final = ("skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other", "allow_all")

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_SHORTEST_S: Final = 1.0
_DEFAULT_CATCH_UP: Final = "1d"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSettings:
    """One schedule. Exactly one of cron, every_s and calendar says when.

    source: what it backs up, guards, proves, or forgets of; empty for what is of a whole repository (a restore, a
    verification, retention, a prune), and for a backup of a system. system: what is backed up as one, and nothing else.
    overlap: what happens while the run before is still under way. catch_up_s: how late a missed time may still be
    made up for. snapshot, target, include, overwrite: of restores.
    share: of verifications and nameless drills, as text. drill: the drill's name.
    """

    name: str
    kind: str
    source: str = ""
    system: str = ""
    repository: str = ""
    cron: tuple[str, ...] = ()
    every_s: float | None = None
    offset_s: float = 0.0
    calendar: tuple[CalendarRule, ...] = ()
    time_zone: str = "UTC"
    jitter_s: float = 0.0
    overlap: str = "skip"
    catch_up_s: float = 86_400.0
    pause_on_failure: bool = False
    strategy: Strategy | None = None
    verify: VerifyLevel | None = None
    snapshot: str = LATEST
    target: str = ""
    include: tuple[str, ...] = ()
    overwrite: Overwrite = Overwrite.IF_CHANGED
    share: str = ""
    drill: str = ""


class ScheduleTable(msgspec.Struct, kw_only=True, frozen=True):
    """[[schedules]] and [[sources.NAME.schedules]]"""

    name: str = ""
    kind: str = "backup"
    source: str = ""
    system: str = ""
    repository: str = ""
    cron: str | list[str] | None = None
    every: Duration | None = None
    offset: Duration = 0
    calendar: dict[str, int | str] | list[dict[str, int | str]] | None = None
    time_zone: str = "UTC"
    jitter: Duration = 0
    overlap: str = "skip"
    catch_up: Duration = _DEFAULT_CATCH_UP
    pause_on_failure: bool = False
    strategy: str = ""
    verify: str = ""
    snapshot: str = LATEST
    target: str = ""
    include: list[str] = []
    overwrite: str = "if-changed"
    share: str = ""
    drill: str = ""


_OF_RESTORES: Final = ("snapshot", "target", "include", "overwrite")
_NOT_OF_SYSTEMS: Final = ("source", "repository")


def source_schedules(
    written: list[dict[str, object]], place: Place, source: str
) -> tuple[ScheduleSettings, ...]:
    """The schedules below a source; place: the source's table.

    Raises:
        SettingsError: something in them is wrong, or two have one name.
    """
    found: list[ScheduleSettings] = []
    for number, value in enumerate(written):
        here = place.below(f"schedules[{number}]")
        table = convert_table(value, ScheduleTable, here)
        if table.source and table.source != source:
            here.refuse("source", f"these are the schedules of {source}", "Leave it out here.")
        if table.kind in {"restore", "prune", "system"}:
            here.refuse("kind", f"a {table.kind} does not stand below a source", "Write it as [[schedules]].")
        _add(found, _schedule(table, here, source or table.source), here)
    return tuple(found)


def top_schedules(
    written: object,
    place: Place,
    sources: Mapping[str, object],
    repositories: Mapping[str, object],
    systems: Mapping[str, object],
    rules: PathRules,
) -> tuple[ScheduleSettings, ...]:
    """[[schedules]]; sources, repositories, systems: those that they can name.

    Raises:
        SettingsError: something in them is wrong, or two have one name.
    """
    if not isinstance(written, list):
        place.refuse("", "a list of tables is expected", "Write [[schedules]] above each of them.")
    found: list[ScheduleSettings] = []
    for number, value in enumerate(written):
        here = replace(place, table=f"schedules[{number}]")
        table = convert_table(value, ScheduleTable, here)
        for key, name, known, plural in (
            ("source", table.source, sources, "sources"),
            ("repository", table.repository, repositories, "repositories"),
            ("system", table.system, systems, "systems"),
        ):
            if name:
                check_known(here, key, name, known, key, plural)
        _check_subject(table, here)
        schedule = _schedule(table, here, table.source)
        if schedule.target:
            target = str(values.path(here, "target", schedule.target, rules))
            schedule = replace(schedule, target=target)
        _add(found, schedule, here)
    return tuple(found)


def _check_subject(table: ScheduleTable, place: Place) -> None:
    """Whether it says what it is about."""
    if table.kind == "system":
        if not table.system:
            place.refuse("system", "this key is missing", 'Write system = "NAME".')
        return
    if table.kind == "prune" and not table.repository:
        place.refuse("repository", "this key is missing", 'Write repository = "NAME".')
    if not table.source and not table.repository and not table.drill:
        place.refuse("source", "this key is missing", 'Write source = "NAME" (or repository = "NAME").')
    of_repositories = {"restore", "verify", "retention", "prune"}
    if not table.source and not table.drill and table.kind not in of_repositories:
        place.refuse("source", "this key is missing", f"A {table.kind} needs one.")


def _add(found: list[ScheduleSettings], schedule: ScheduleSettings, place: Place) -> None:
    mine = (schedule.source, schedule.system, schedule.name)
    if any((other.source, other.system, other.name) == mine for other in found):
        place.refuse("name", f"there is a schedule {schedule.name!r} already", 'Write another name = "…".')
    found.append(schedule)


def _schedule(table: ScheduleTable, place: Place, source: str) -> ScheduleSettings:
    kind = values.choice(place, "kind", table.kind, KINDS)
    _refuse_foreign(table, place)
    name = table.name or (table.strategy if kind in {"backup", "system"} else "") or kind
    if _NAME.fullmatch(name) is None:
        place.refuse("name", "this name cannot be used", 'Use letters, digits, "_" and "-", at most 64.')
    zones = available_timezones()  # none where there is no database of them: `schedule apply` says so then
    if zones and table.time_zone not in zones | {"UTC"}:
        place.refuse("time_zone", "no such time zone", 'Write one like "Europe/Berlin".')
    cron, every_s, calendar = _times(table, place)
    offset_s = values.duration_s(place, "offset", table.offset)
    if offset_s and (every_s is None or offset_s >= every_s):
        place.refuse(
            "offset", "it counts from the beginning of each `every`", "Write less than that, or nothing."
        )
    for key, length_s in (("every", every_s or 0.0), ("offset", offset_s)):
        if length_s != int(length_s):
            place.refuse(key, "the server counts in whole seconds", "Write whole seconds.")
    if kind == "restore" and not table.target:
        place.refuse(
            "target", "this key is missing", "A scheduled restore never writes in place: name a folder."
        )
    return ScheduleSettings(
        name=name,
        kind=kind,
        source=source,
        system=table.system,
        repository=table.repository,
        cron=cron,
        every_s=every_s,
        offset_s=offset_s,
        calendar=calendar,
        time_zone=table.time_zone,
        jitter_s=values.duration_s(place, "jitter", table.jitter),
        overlap=values.choice(place, "overlap", table.overlap, OVERLAPS),
        catch_up_s=values.duration_s(place, "catch_up", table.catch_up, at_least_s=10.0),
        pause_on_failure=table.pause_on_failure,
        strategy=values.choice(place, "strategy", table.strategy, Strategy) if table.strategy else None,
        verify=values.choice(place, "verify", table.verify, VerifyLevel) if table.verify else None,
        snapshot=table.snapshot,
        target=table.target,
        include=values.texts(place, "include", table.include),
        overwrite=values.choice(place, "overwrite", table.overwrite, Overwrite),
        share=table.share,
        drill=table.drill,
    )


def _refuse_foreign(table: ScheduleTable, place: Place) -> None:
    """Keys that mean nothing for this kind."""
    defaults = ScheduleTable()
    foreign = () if table.kind == "restore" else _OF_RESTORES
    if table.kind not in {"backup", "verify", "system"}:
        foreign = (*foreign, "strategy")
    if table.kind not in {"backup", "verify"}:
        foreign = (*foreign, "verify")
    foreign = (*foreign, *(_NOT_OF_SYSTEMS if table.kind == "system" else ("system",)))
    if table.kind not in {"verify", "drill"}:
        foreign = (*foreign, "share")
    if table.kind != "drill":
        foreign = (*foreign, "drill")
    if table.kind == "prune":
        foreign = (*foreign, "source")
    for key in foreign:
        if getattr(table, key) != getattr(defaults, key):
            place.refuse(key, f"it means nothing for kind = {table.kind!r}", "Remove it.")


def _times(
    table: ScheduleTable, place: Place
) -> tuple[tuple[str, ...], float | None, tuple[CalendarRule, ...]]:
    given = [key for key in ("cron", "every", "calendar") if getattr(table, key) is not None]
    if len(given) != 1:
        what = "nothing says when" if not given else f"there is {given[0]} already"
        place.refuse(given[1] if given else "cron", what, "Write exactly one of cron, every and calendar.")
    cron: tuple[str, ...] = ()
    if table.cron == [] or table.calendar == []:
        place.refuse(given[0], "it says nothing", "Write one time at least.")
    if table.cron is not None:
        cron = (table.cron,) if isinstance(table.cron, str) else tuple(table.cron)
        for line in cron:
            check_cron(line, place)
    every_s = None
    if table.every is not None:
        every_s = values.duration_s(place, "every", table.every, at_least_s=_SHORTEST_S)
    written = [] if table.calendar is None else table.calendar
    rules = [written] if isinstance(written, dict) else written
    return cron, every_s, tuple(calendar_rule(rule, place) for rule in rules)

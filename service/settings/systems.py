"""[systems.NAME]: sources, on one host or several, that are backed up together and restored in a stated order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from holdfast.service.settings import values
from holdfast.service.settings.document import Duration, convert_table
from holdfast.service.settings.hooks import HookProfile, hook_names
from holdfast.service.settings.naming import check_known, is_name, named_tables
from holdfast.service.settings.place import Place
from holdfast.service.settings.suggestions import one_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberName:
    """A member as it is written, "db" or "db@host1". host: empty for the host that the settings are of."""

    source: str
    host: str = ""

    @property
    def label(self) -> str:
        """As written; by it snapshots and results name the member."""
        return f"{self.source}@{self.host}" if self.host else self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemProfile:
    """One system by name.

    members: as declared; restored in the order of restore_order, which holds them all. before, after: hooks of this
    host around all backups. repository: where members are looked for on hosts whose settings lack their source.
    busy_wait_s: how long to wait for the end of a backup of a member that is under way already.
    """

    name: str
    members: tuple[MemberName, ...]
    restore_order: tuple[MemberName, ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    repository: str = ""
    busy_wait_s: float = 600.0


class SystemTable(msgspec.Struct, kw_only=True, frozen=True):
    """[systems.NAME]"""

    sources: list[str]
    restore_order: list[str] = []
    before: list[str] = []
    after: list[str] = []
    repository: str = ""
    busy_wait: Duration = "10m"


def systems(
    value: object,
    place: Place,
    sources: Mapping[str, object],
    repositories: Mapping[str, object],
    hooks: Mapping[str, HookProfile],
) -> dict[str, SystemProfile]:
    """All of [systems]; what they can name is the rest.

    Raises:
        SettingsError: something in it is wrong.
    """

    def system(name: str, written: object, here: Place) -> SystemProfile:
        table = convert_table(written, SystemTable, here)
        members = _members(here, "sources", table.sources, sources)
        if not members:
            here.refuse(
                "sources", "a system needs at least one source", 'Write sources = ["etc", "db@host1"].'
            )
        if table.repository:
            check_known(here, "repository", table.repository, repositories, "repository", "repositories")
        return SystemProfile(
            name=name,
            members=members,
            restore_order=_restore_order(here, table.restore_order, members),
            before=hook_names(here, "before", table.before, hooks),
            after=hook_names(here, "after", table.after, hooks),
            repository=table.repository,
            busy_wait_s=values.duration_s(here, "busy_wait", table.busy_wait),
        )

    return named_tables(value, place, system)


def _members(
    place: Place, key: str, written: Sequence[str], sources: Mapping[str, object]
) -> tuple[MemberName, ...]:
    """Members of this host must be in these settings; what other hosts have, their workers know."""
    members: list[MemberName] = []
    for number, text in enumerate(written):
        source, mark, host = text.partition("@")
        here = f"{key}[{number}]"
        if not is_name(source) or (mark and not is_name(host)):
            place.refuse(here, "a source is expected", 'Write "etc", or "etc@host1" for another host\'s.')
        if not mark:
            check_known(place, here, source, sources, "source")
        member = MemberName(source=source, host=host)
        if member in members:
            place.refuse(here, "this source stands there twice", "Remove it.")
        members.append(member)
    return tuple(members)


def _restore_order(
    place: Place, written: Sequence[str], members: tuple[MemberName, ...]
) -> tuple[MemberName, ...]:
    """Those that are named first, then the others as they are declared."""
    labels = {member.label: member for member in members}
    for number, label in enumerate(written):
        if label not in labels:
            place.refuse(
                f"restore_order[{number}]", "it is no source of this system", one_of(label, labels, "sources")
            )
        if label in written[:number]:
            place.refuse(f"restore_order[{number}]", "this source stands there twice", "Remove it.")
    return tuple(labels[label] for label in dict.fromkeys((*written, *labels)))

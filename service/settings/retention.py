"""[sources.NAME.retention] and [repositories.NAME.retention]: which snapshots stay, in restic's words with underscores.

A source's table is about its own snapshots. A repository's is about all others in it, those of other hosts too; its
`keep_within_size` is the budget of all of them together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.retention.policy import COUNTS, EMPTY, SPANS, UNLIMITED, Policy
from holdfast.retention.rules import DEFAULT_BIN_S, Rules
from holdfast.retention.spans import NO_SPAN, SPAN_EXAMPLES, Span, parse_span
from holdfast.service.settings import values
from holdfast.service.settings.document import Duration, Size, convert_table
from holdfast.service.settings.place import Place

if TYPE_CHECKING:
    from holdfast.service.settings.model import Settings

_UNLIMITED: Final = "unlimited"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """A table. bin_s: how long what is forgotten can be taken back; of a repository only."""

    policy: Policy = EMPTY
    bin_s: float = DEFAULT_BIN_S


class SourceRetentionTable(msgspec.Struct, kw_only=True, frozen=True):
    """[sources.NAME.retention]"""

    keep_last: int | str = 0
    keep_hourly: int | str = 0
    keep_daily: int | str = 0
    keep_weekly: int | str = 0
    keep_monthly: int | str = 0
    keep_yearly: int | str = 0
    keep_within: str | None = None
    keep_within_hourly: str | None = None
    keep_within_daily: str | None = None
    keep_within_weekly: str | None = None
    keep_within_monthly: str | None = None
    keep_within_yearly: str | None = None
    keep_tag: list[str] = []
    keep_within_size: Size | None = None


class RepositoryRetentionTable(SourceRetentionTable, kw_only=True, frozen=True):
    """[repositories.NAME.retention]"""

    bin: Duration = "7d"


def source_retention(value: object, place: Place) -> RetentionSettings:
    """The table below a source, or none; place: the source's.

    Raises:
        SettingsError: something in it is wrong.
    """
    here = place.below("retention")
    if value is None:
        return RetentionSettings()
    policy = _policy(convert_table(value, SourceRetentionTable, here), here)
    if policy.is_empty:
        here.refuse("", "it says nothing", "Write keep_daily = 7 or the like, or remove the table.")
    return RetentionSettings(policy=policy)


def repository_retention(value: object, place: Place) -> RetentionSettings:
    """The table below a repository, or none; place: the repository's.

    Raises:
        SettingsError: something in it is wrong.
    """
    here = place.below("retention")
    if value is None:
        return RetentionSettings()
    table = convert_table(value, RepositoryRetentionTable, here)
    return RetentionSettings(
        policy=_policy(table, here), bin_s=values.duration_s(here, "bin", table.bin, at_least_s=0.0)
    )


def rules_of(settings: "Settings", repository: str) -> Rules:
    """What the settings say of a repository; nothing of one that was given by its location."""
    profile = settings.repositories.get(repository)
    if profile is None:
        return Rules(sources={})
    sources: Mapping[tuple[str, str], Policy] = {
        (source.host or settings.host, source.name): source.retention.policy
        for source in settings.sources.values()
        if source.repository == repository and not source.retention.policy.is_empty
    }
    policy = profile.retention.policy
    return Rules(
        sources=sources,
        others=replace(policy, size_bytes=None),
        size_bytes=policy.size_bytes,
        bin_s=profile.retention.bin_s,
    )


def parse_count(text: str) -> int:
    """A count as restic's options have it: a number, or "unlimited".

    Raises:
        ValueError: it is neither.
    """
    if text == _UNLIMITED:
        return UNLIMITED
    if not text.isascii() or not text.isdecimal():
        raise ValueError("not a count")
    return int(text)


def parse_tags(text: str) -> tuple[str, ...]:
    """A list of tags as restic's options have it, with commas between."""
    return tuple(tag.strip() for tag in text.split(","))


def _policy(table: SourceRetentionTable, place: Place) -> Policy:
    counts = {word: _count(place, f"keep_{word}", getattr(table, f"keep_{word}")) for word in COUNTS}
    spans = {word: _span(place, f"keep_{word}", getattr(table, f"keep_{word}")) for word in SPANS}
    size = table.keep_within_size
    return Policy.of(
        counts,
        spans,
        tags=tuple(parse_tags(text) for text in values.texts(place, "keep_tag", table.keep_tag)),
        size_bytes=None if size is None else values.size_bytes(place, "keep_within_size", size),
    )


def _count(place: Place, key: str, value: int | str) -> int:
    try:
        return parse_count(str(value))
    except ValueError:
        place.refuse(key, "a number of snapshots is expected", f'Write {key} = 7, or "{_UNLIMITED}".')


def _span(place: Place, key: str, value: str | None) -> Span:
    if value is None:
        return NO_SPAN
    try:
        return parse_span(value)
    except ValueError:
        place.refuse(key, "a span of time is expected", f"Write one like {SPAN_EXAMPLES}; m is a month.")

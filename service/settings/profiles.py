"""The tables [repositories.NAME] and [sources.NAME] as profiles."""

import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from holdfast.format.pack import Compression
from holdfast.format.tags import OWN
from holdfast.service.settings import values
from holdfast.service.settings.commands import command_words
from holdfast.service.settings.document import JournalTable, RepositoryTable, SourceTable, convert_table
from holdfast.service.settings.guard import guard_settings
from holdfast.service.settings.hooks import HookProfile, hook_names
from holdfast.service.settings.limits import Limits, limit
from holdfast.service.settings.model import (
    MAX_PACK_SIZE_BYTES,
    MIN_PACK_SIZE_BYTES,
    PasswordSource,
    RepositoryProfile,
    SourceProfile,
)
from holdfast.service.settings.naming import check_known, named_tables
from holdfast.service.settings.passwords import secret_words
from holdfast.service.settings.paths import PathRules, without_variables
from holdfast.service.settings.place import Place
from holdfast.service.settings.retention import repository_retention, source_retention
from holdfast.service.settings.schedules import source_schedules
from holdfast.service.settings.watch import WatchSettings, watch_settings
from holdfast.source.filters import check_marker
from holdfast.source.patterns import Pattern
from holdfast.source.spec import FilterRules, SourceSpec
from holdfast.storage.locations import check_location
from holdfast.terms import Strategy, VerifyLevel

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SHORTEST_MAX_AGE_S: Final = 60.0
_LONGEST_NAME_BYTES: Final = 255
_REPOSITORY_HINTS: Final = {
    "password": "A password does not stand here: name a password_file, password_command or password_env.",
    "path": 'The key is called "location".',
}


def repositories(value: object, place: Place, rules: PathRules) -> dict[str, RepositoryProfile]:
    """All of [repositories].

    Raises:
        SettingsError: something in it is wrong.
    """
    return named_tables(value, place, partial(_repository, rules))


def sources(
    value: object,
    place: Place,
    rules: PathRules,
    known: Mapping[str, RepositoryProfile],
    hooks: Mapping[str, HookProfile],
) -> dict[str, SourceProfile]:
    """All of [sources]; known, hooks: the repositories and hooks that they can name.

    Raises:
        SettingsError: something in it is wrong.
    """
    return named_tables(value, place, partial(_source, rules, known, hooks))


def _repository(rules: PathRules, name: str, value: object, place: Place) -> RepositoryProfile:
    table = convert_table(value, RepositoryTable, place, hints=_REPOSITORY_HINTS)
    location = _location(place, rules, "location", table.location)
    companion = "" if table.companion is None else _location(place, rules, "companion", table.companion)
    pack_size_bytes = values.size_bytes(place, "pack_size", table.pack_size)
    if not MIN_PACK_SIZE_BYTES <= pack_size_bytes <= MAX_PACK_SIZE_BYTES:
        place.refuse("pack_size", "it must be from 4MiB to 128MiB", "Leave it out for 16MiB.")
    return RepositoryProfile(
        name=name,
        location=location,
        companion=companion,
        password=password(table, place, rules),
        credentials=secret_source(
            place,
            rules,
            "credentials",
            file=table.credentials_file,
            command=table.credentials_command,
            variable=table.credentials_env,
        ),
        compression=values.choice(place, "compression", table.compression, Compression),
        pack_size_bytes=pack_size_bytes,
        limits=Limits(
            upload=limit(place, "limit_upload", table.limit_upload),
            download=limit(place, "limit_download", table.limit_download),
        ),
        retention=repository_retention(table.retention, place),
    )


def _location(place: Place, rules: PathRules, key: str, written: str) -> str:
    try:
        location = rules.location(written)
    except ValueError as error:
        place.refuse(key, str(error), "Write a folder.")
    with place.retelling(key):
        check_location(location)
    place.note_path(key, location)
    return location


def password(table: RepositoryTable | JournalTable, place: Place, rules: PathRules) -> PasswordSource | None:
    """Where a table's password comes from; None where it names no place.

    Raises:
        SettingsError: it names two, or one that cannot be.
    """
    return secret_source(
        place,
        rules,
        "password",
        file=table.password_file,
        command=table.password_command,
        variable=table.password_env,
    )


def secret_source(
    place: Place, rules: PathRules, what: str, *, file: str | None, command: str | None, variable: str | None
) -> PasswordSource | None:
    """The one of the keys `what`_file, `what`_command and `what`_env that is given; None where none is.

    Raises:
        SettingsError: two are, or one that cannot be.
    """
    keys = {f"{what}_file": file, f"{what}_command": command, f"{what}_env": variable}
    given = [key for key, value in keys.items() if value is not None]
    if len(given) > 1:
        place.refuse(given[1], f"there is {given[0]} already", "Keep one of them.")
    if file is not None:
        return PasswordSource(file=values.path(place, f"{what}_file", file, rules))
    if command is not None:
        with place.retelling(f"{what}_command"):
            secret_words(command, what)
        return PasswordSource(command=command)
    if variable is not None:
        if _VARIABLE.fullmatch(variable) is None:
            place.refuse(
                f"{what}_env",
                "the name of an environment variable is expected",
                f"Write its name without a dollar, and not the {what} itself.",
            )
        return PasswordSource(env=variable)
    return None


def _source(
    rules: PathRules,
    known: Mapping[str, RepositoryProfile],
    hooks: Mapping[str, HookProfile],
    name: str,
    value: object,
    place: Place,
) -> SourceProfile:
    table = convert_table(value, SourceTable, place)
    check_known(place, "repository", table.repository, known, "repository", "repositories")
    spec = _spec(table, place, rules) if table.command is None else _output(table, place)
    return SourceProfile(
        name=name,
        repository=table.repository,
        spec=spec,
        restore_command=_restore_command(table, place),
        before=hook_names(place, "before", table.before, hooks),
        after=hook_names(place, "after", table.after, hooks),
        schedules=source_schedules(table.schedules, place, name),
        watch=_watch(table, place),
        guard=guard_settings(table.guard, place),
        retention=source_retention(table.retention, place),
        exclude_files=values.paths(place, "exclude_files", table.exclude_files, rules),
        iexclude_files=values.paths(place, "iexclude_files", table.iexclude_files, rules),
        tags=_tags(table, place),
        host=table.host,
        strategy=values.choice(place, "strategy", table.strategy, Strategy),
        verify=values.choice(place, "verify", table.verify, VerifyLevel),
        max_age_s=(
            None
            if table.max_age is None
            else values.duration_s(place, "max_age", table.max_age, at_least_s=_SHORTEST_MAX_AGE_S)
        ),
        ping_url=None if table.ping_url is None else values.http_url(place, "ping_url", table.ping_url),
    )


def _roots(table: SourceTable, place: Place, rules: PathRules) -> tuple[bytes, ...]:
    if not table.paths:
        place.refuse("paths", "a source needs at least one path", 'Write paths = ["/home/me"], or a command.')
    if table.file is not None:
        place.refuse("file", "it is the name of a command's output", "Add command, or remove this key.")
    return tuple(dict.fromkeys(map(bytes, values.paths(place, "paths", table.paths, rules))))


def _output(table: SourceTable, place: Place) -> SourceSpec:
    """A source that is a command's output, under one name directly below "/"."""
    if table.paths:
        place.refuse("paths", "a source has either paths or a command", "Remove one of the two.")
    if not table.file:
        place.refuse("file", "the output of a command needs a name", 'Write file = "shop.dump".')
    name = os.fsencode(table.file)
    if b"/" in name or b"\0" in name or name in {b".", b".."} or len(name) > _LONGEST_NAME_BYTES:
        place.refuse("file", "the name of a file is expected", 'Write it without "/", "shop.dump" say.')
    return SourceSpec(
        roots=(b"/" + name,),
        command=command_words(place, "command", table.command or ""),
        allow_empty=table.allow_empty,
    )


def _watch(table: SourceTable, place: Place) -> WatchSettings | None:
    if table.watch is not None and table.command is not None:
        place.refuse("watch", "a command's output cannot be watched", "Give the source a schedule instead.")
    return watch_settings(table.watch, place)


def _restore_command(table: SourceTable, place: Place) -> tuple[str, ...]:
    if table.restore_command is None:
        return ()
    if table.command is None:
        place.refuse("restore_command", "it takes a command's output", "Add command, or remove this key.")
    return command_words(place, "restore_command", table.restore_command)


def _spec(table: SourceTable, place: Place, rules: PathRules) -> SourceSpec:
    larger = table.exclude_larger_than
    return SourceSpec(
        roots=_roots(table, place, rules),
        filters=FilterRules(
            excludes=_patterns(place, "exclude", table.exclude, rules),
            iexcludes=_patterns(place, "iexclude", table.iexclude, rules),
            exclude_if_present=_markers(place, table.exclude_if_present),
            exclude_caches=table.exclude_caches,
            exclude_larger_than_bytes=(
                None if larger is None else values.size_bytes(place, "exclude_larger_than", larger)
            ),
        ),
        one_file_system=table.one_file_system,
        with_atime=table.with_atime,
        ignore_inode=table.ignore_inode,
        ignore_ctime=table.ignore_ctime,
        allow_empty=table.allow_empty,
    )


def _patterns(place: Place, key: str, written: Sequence[str], rules: PathRules) -> tuple[str, ...]:
    found = []
    for number, text in enumerate(values.texts(place, key, written)):
        here = f"{key}[{number}]"
        try:
            found.append(rules.pattern(without_variables(text)))
        except ValueError as error:
            place.refuse(here, str(error), 'Write an absolute path, or one that begins with "~/".')
        with place.retelling(here):
            Pattern.parse(found[-1])
    return tuple(found)


def _markers(place: Place, written: Sequence[str]) -> tuple[str, ...]:
    for number, text in enumerate(values.texts(place, "exclude_if_present", written)):
        with place.retelling(f"exclude_if_present[{number}]"):
            check_marker(text)
    return tuple(written)


def _tags(table: SourceTable, place: Place) -> tuple[str, ...]:
    tags = values.texts(place, "tags", table.tags)
    for number, tag in enumerate(tags):
        if "," in tag:
            place.refuse(f"tags[{number}]", "a tag cannot hold a comma", "Write two tags.")
        if tag.startswith(OWN):
            place.refuse(f"tags[{number}]", f'tags that begin with "{OWN}" are ours', "Choose another.")
    return tags

"""Reads what a backup is of: the paths and options of the command line, or a source of the settings."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import typer

from holdfast.errors import SourceMissingError, UsageError
from holdfast.service.settings.exclude_files import named_variables, resolve
from holdfast.service.settings.model import SourceProfile
from holdfast.service.settings.paths import plain, without_variables
from holdfast.service.settings.requests import SourceOrder
from holdfast.service.settings.suggestions import one_of
from holdfast.source.filters import check_marker
from holdfast.source.patterns import Pattern
from holdfast.source.spec import FilterRules, SourceSpec
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions, Groups, Texts
from holdfast.starter.shell.output import warn
from holdfast.terms import Strategy, VerifyLevel
from holdfast.units import SIZE_EXAMPLES, parse_size

if TYPE_CHECKING:
    from holdfast.starter.requests.stream import Door

_STDIN_NAME: Final = "stdin"
_LONGEST_NAME_BYTES: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions(CommonOptions):
    """The part of `backup`'s options that says what is read."""

    GROUPS: ClassVar[Groups] = {
        "What is backed up": (
            "source",
            "all",
            "files_from",
            "files_from_verbatim",
            "files_from_raw",
            "stdin",
            "stdin_from_command",
            "stdin_filename",
        ),
        "What is left out": (
            "exclude",
            "iexclude",
            "exclude_file",
            "iexclude_file",
            "exclude_if_present",
            "exclude_caches",
            "exclude_larger_than",
            "one_file_system",
        ),
        "How it is read": ("with_atime", "allow_empty", "ignore_inode", "ignore_ctime"),
    }

    paths: Annotated[
        Texts,
        typer.Argument(metavar="PATHS", help="What to back up; or the names of sources.", show_default=False),
    ] = ()
    source: Annotated[str, typer.Option(metavar="NAME", help="A source of the settings.")] = ""
    all: Annotated[bool, typer.Option("--all", help="Each source of the settings, one after the other.")] = (
        False
    )
    files_from: Annotated[
        Texts,
        typer.Option(metavar="FILE", help="What the patterns in FILE (- for stdin) stand for; repeatable."),
    ] = ()
    files_from_verbatim: Annotated[
        Texts, typer.Option(metavar="FILE", help="The paths in FILE, one a line, as they are.")
    ] = ()
    files_from_raw: Annotated[
        Texts, typer.Option(metavar="FILE", help="The same, each path ended by a NUL byte.")
    ] = ()
    stdin: Annotated[
        bool, typer.Option("--stdin", help="What is written to standard input, as one file.")
    ] = False
    stdin_from_command: Annotated[
        bool,
        typer.Option(
            "--stdin-from-command", help="What a command prints: give it in place of PATHS, after --."
        ),
    ] = False
    stdin_filename: Annotated[str, typer.Option(metavar="NAME", help="The name of that file.")] = _STDIN_NAME
    exclude: Annotated[
        Texts, typer.Option("--exclude", "-e", metavar="PATTERN", help="Leave out; repeatable.")
    ] = ()
    iexclude: Annotated[Texts, typer.Option(metavar="PATTERN", help="The same without regard to case.")] = ()
    exclude_file: Annotated[
        Texts,
        typer.Option(metavar="FILE", help="Leave out what the patterns in FILE say; repeatable."),
    ] = ()
    iexclude_file: Annotated[
        Texts, typer.Option(metavar="FILE", help="The same without regard to case.")
    ] = ()
    exclude_if_present: Annotated[
        Texts,
        typer.Option(metavar="NAME[:HEADER]", help="Leave out what is in directories with such a file."),
    ] = ()
    exclude_caches: Annotated[
        bool, typer.Option("--exclude-caches", help="Leave out what is in directories with a CACHEDIR.TAG.")
    ] = False
    exclude_larger_than: Annotated[
        str, typer.Option(metavar="SIZE", help="Leave out larger files (k, M, G, T).", show_default=False)
    ] = ""
    one_file_system: Annotated[
        bool, typer.Option("--one-file-system", "-x", help="Do not cross into other file systems.")
    ] = False
    with_atime: Annotated[bool, typer.Option("--with-atime", help="Store access times.")] = False
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Back up directories that hold nothing.")
    ] = False
    ignore_inode: Annotated[
        bool, typer.Option("--ignore-inode", help="Inode numbers do not tell that a file changed.")
    ] = False
    ignore_ctime: Annotated[
        bool, typer.Option("--ignore-ctime", help="Change times do not tell that a file changed.")
    ] = False


_SPEC_OPTIONS: Final = tuple(
    field.name
    for field in fields(SourceOptions)
    if field.name
    not in {
        "paths",
        "source",
        "all",
        "stdin",
        "stdin_from_command",
        "stdin_filename",
        *(common.name for common in fields(CommonOptions)),
    }
)


_NOT_OF_STREAMS: Final = tuple(
    name for name in ("source", "all", *_SPEC_OPTIONS) if not name.startswith(("stdin", "allow_empty"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenSource:
    """A source of the settings (order is None), or one that was typed. repository: the profile's. door: where what was
    typed is a stream, which is handed over while this context lasts."""

    name: str = ""
    order: SourceOrder | None = None
    door: "Door | None" = None
    repository: str = ""
    strategy: Strategy = Strategy.AUTO
    verify: VerifyLevel = VerifyLevel.STRUCTURE


def chosen_sources(invocation: Invocation, options: SourceOptions) -> list[ChosenSource]:
    """The sources that are meant. An argument that is the name of a source means that; `./NAME` is the folder.

    Raises:
        SourceMissingError: a path is not there.
        UsageError: nothing, or something contradictory, is named.
        SettingsError: there is no source of that name.
    """
    if options.stdin or options.stdin_from_command:
        return [_stream(invocation, options)]
    profiles = _named_profiles(invocation, options)
    for profile in profiles:
        _refuse_spec_options(options, profile.name)
    if profiles:
        return [
            ChosenSource(
                name=profile.name,
                repository=profile.repository,
                strategy=profile.strategy,
                verify=profile.verify,
            )
            for profile in profiles
        ]
    return [ChosenSource(order=_order(invocation, options))]


def _stream(invocation: Invocation, options: SourceOptions) -> ChosenSource:
    """Standard input, or the output of a command.

    Raises:
        UsageError: something else is named as well, or nothing can come.
    """
    option = "--stdin" if options.stdin else "--stdin-from-command"
    given = [name for name in _NOT_OF_STREAMS if getattr(options, name)]
    if given or (options.stdin and (options.paths or options.stdin_from_command)):
        other = f"--{given[0].replace('_', '-')}" if given else "anything else to back up"
        raise UsageError(f"{option} does not go with {other}", hint="Leave out the one or the other.")
    if options.stdin_from_command and not options.paths:
        raise UsageError(
            "--stdin-from-command needs a command", hint="Write it behind the options, after --."
        )
    if options.stdin and sys.stdin.isatty():
        raise UsageError(
            "standard input is the terminal", hint="Write into it: `… | holdfast backup --stdin`."
        )
    name = os.fsencode(options.stdin_filename)
    if name in {b"", b".", b".."} or b"/" in name or b"\0" in name or len(name) > _LONGEST_NAME_BYTES:
        raise UsageError(
            f"--stdin-filename: {options.stdin_filename!r} is no name of a file",
            hint='Write it without "/": it stands at the top of the snapshot.',
        )
    from holdfast.starter.requests.stream import Door  # noqa: PLC0415 - the engine's reader, for this alone

    door = Door(invocation.settings.state_dir, options.paths if options.stdin_from_command else ())
    spec = SourceSpec(roots=(b"/" + name,), door=str(door.path), allow_empty=options.allow_empty)
    return ChosenSource(order=SourceOrder(spec=spec), door=door)


def _named_profiles(invocation: Invocation, options: SourceOptions) -> list[SourceProfile]:
    settings = invocation.settings
    if options.all:
        if options.source or options.paths:
            raise UsageError("--all goes with no source and no path", hint="Leave out the one or the other.")
        if not settings.sources:
            raise UsageError("the settings have no source", hint="Add a table [sources.NAME], or name paths.")
        return list(settings.sources.values())
    if options.source:
        if options.paths:
            raise UsageError("--source and paths exclude each other", hint="Give one of them.")
        return [settings.source(options.source)]
    named = dict.fromkeys(path for path in options.paths if path in settings.sources)
    paths = [path for path in options.paths if path not in named]
    if named and paths:
        name = next(iter(named))
        raise UsageError(
            f"{name} is a source of the settings, and {paths[0]} is not",
            hint=f"Name sources or paths; ./{name} is the path.",
        )
    return [settings.sources[name] for name in named]


def _refuse_spec_options(options: SourceOptions, name: str) -> None:
    for option in _SPEC_OPTIONS:
        if getattr(options, option):
            raise UsageError(
                f"--{option.replace('_', '-')} does not go with a source of the settings",
                hint=f"Set it in [sources.{name}], or name paths.",
            )


def _order(invocation: Invocation, options: SourceOptions) -> SourceOrder:
    for marker in options.exclude_if_present:
        check_marker(marker)
    spec = SourceSpec(
        roots=_roots(invocation, options),
        filters=FilterRules(
            excludes=typed_patterns(invocation, options.exclude),
            iexcludes=typed_patterns(invocation, options.iexclude),
            exclude_if_present=options.exclude_if_present,
            exclude_caches=options.exclude_caches,
            exclude_larger_than_bytes=_size_bytes(options.exclude_larger_than),
        ),
        one_file_system=options.one_file_system,
        with_atime=options.with_atime,
        ignore_inode=options.ignore_inode,
        ignore_ctime=options.ignore_ctime,
        allow_empty=options.allow_empty,
    )
    exclude_files = _files(invocation, options.exclude_file)
    iexclude_files = _files(invocation, options.iexclude_file)
    order = SourceOrder(
        spec=spec,
        exclude_files=exclude_files,
        iexclude_files=iexclude_files,
        variables=named_variables((*exclude_files, *iexclude_files), invocation.environ),
    )
    resolve(order.profile(""), invocation.environ)  # what is wrong with the files is told before a run begins
    return order


def typed_patterns(invocation: Invocation, given: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns of options.

    Raises:
        UsageError: one is malformed, names a variable, or begins in a home folder that nobody knows.
    """
    patterns = []
    for text in given:
        try:
            patterns.append(invocation.rules.pattern(without_variables(text)))
        except ValueError as error:
            raise UsageError(
                f"the pattern {text!r} cannot be used: {error}", hint="Let the shell replace variables."
            ) from None
        Pattern.parse(patterns[-1])
    return tuple(patterns)


def _roots(invocation: Invocation, options: SourceOptions) -> tuple[bytes, ...]:
    roots = (*_listed_roots(invocation, options), *_named_roots(invocation, options))
    if not roots:
        raise UsageError("nothing is named to back up", hint="Name paths, or a source of the settings.")
    return tuple(dict.fromkeys(roots))


def _listed_roots(invocation: Invocation, options: SourceOptions) -> Iterator[bytes]:
    """The paths of lists. One that is gone since the list was made is the run's to tell: it is partial then."""
    if not (options.files_from or options.files_from_verbatim or options.files_from_raw):
        return
    from holdfast.starter.requests.path_lists import PathLists, expanded  # noqa: PLC0415 - few have lists

    lists, base = PathLists(), os.fsencode(invocation.rules.base)
    for file in options.files_from:
        for pattern in lists.patterns("--files-from", file):
            found = expanded(pattern)
            if not found:
                warn(f"pattern {pattern!r} does not match any files, skipping")
            yield from (plain(os.path.join(base, os.fsencode(path))) for path in found)
    for file in options.files_from_verbatim:
        for path in lists.lines("--files-from-verbatim", file):
            yield plain(os.path.join(base, path))
    for file in options.files_from_raw:
        for path in lists.names("--files-from-raw", file):
            yield plain(os.path.join(base, path))


def _named_roots(invocation: Invocation, options: SourceOptions) -> tuple[bytes, ...]:
    paths = options.paths
    roots: list[bytes] = []
    for path in paths:
        root = _root(invocation, path)
        if not os.path.lexists(root):
            raise SourceMissingError(
                f"{os.fsdecode(root)}: there is no such path",
                hint=_no_such_path_hint(invocation, path if len(paths) == 1 else ""),
            )
        if not options.allow_empty and _is_empty(root):
            raise SourceMissingError(
                f"{os.fsdecode(root)}: the directory holds nothing",
                hint="Is its file system mounted? With --allow-empty it is backed up as it is.",
            )
        roots.append(root)
    return tuple(roots)


def _root(invocation: Invocation, path: str) -> bytes:
    """A path as it is named; a name that begins with "~", as editors' and offices' files do, is a name."""
    if not path:
        raise UsageError(
            "an empty path cannot be backed up", hint="Check the command's quotes and variables."
        )
    is_name = path.startswith("~") and path != "~" and not path.startswith("~/")
    return os.fsencode(invocation.rules.text(f"./{path}" if is_name else path))


def _is_empty(root: bytes) -> bool:
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is None and not os.path.islink(root)
    except OSError:
        return False  # no directory, or none that we may read: the run will tell


def _no_such_path_hint(invocation: Invocation, name: str) -> str:
    sources = invocation.settings.sources
    if not sources or not name or "/" in name:
        return "Look for a typing error; nothing was backed up."
    return f"Nor is it a source of the settings. {one_of(name, sources, 'the sources')}"


def _files(invocation: Invocation, paths: tuple[str, ...]) -> tuple[Path, ...]:
    files = tuple(invocation.rules.path(path) for path in paths)
    for file in files:
        if not file.is_file():
            raise UsageError(f"the exclude file {file} is not there", hint="Check its path.")
    return files


def _size_bytes(text: str) -> int | None:
    if not text:
        return None
    try:
        return parse_size(text)
    except ValueError:
        raise UsageError(
            f"--exclude-larger-than: {text!r} is no size", hint=f"Write one like {SIZE_EXAMPLES}."
        ) from None

"""`holdfast restore` brings a snapshot, or parts of it, back."""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from holdfast.errors import UsageError
from holdfast.restore.request import RestoreOptions
from holdfast.service.settings.exclude_files import lines_of, read_patterns
from holdfast.service.settings.paths import begins_at_place, plain
from holdfast.starter.host.early_start import EarlyStart, early_start
from holdfast.starter.requests.choice import choice_of, place_of
from holdfast.starter.requests.path_lists import PathLists
from holdfast.starter.requests.sources import typed_patterns
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import Detach, Groups, SnapshotFilterOptions, Texts, one_word
from holdfast.terms import Overwrite, VerifyLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreCommandOptions(SnapshotFilterOptions):
    """Options of `restore`."""

    GROUPS: ClassVar[Groups] = {
        "Where to": ("target", "in_place", "to_command"),
        "What is restored": (
            "include",
            "iinclude",
            "include_file",
            "iinclude_file",
            "exclude",
            "iexclude",
            "exclude_file",
            "iexclude_file",
            "files_from",
            "files_from_raw",
        ),
        "The run": ("dry_run", "overwrite", "delete", "verify", "sparse", "detach"),
    }

    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT[:SUBFOLDER]", help='An id, or "latest".')]
    only: Annotated[
        Texts,
        typer.Argument(
            metavar="[PATHS]", help="Restore only these paths of the snapshot.", show_default=False
        ),
    ] = ()
    target: Annotated[
        str, typer.Option("--target", "-t", metavar="DIR", help="Where to restore to.", show_default=False)
    ] = ""
    in_place: Annotated[bool, typer.Option("--in-place", help="Restore to where the files came from.")] = (
        False
    )
    include: Annotated[
        Texts,
        typer.Option("--include", "-i", metavar="PATTERN", help="Restore only these; repeatable."),
    ] = ()
    iinclude: Annotated[Texts, typer.Option(metavar="PATTERN", help="The same without regard to case.")] = ()
    include_file: Annotated[Texts, typer.Option(metavar="FILE", help="--include from FILE.")] = ()
    iinclude_file: Annotated[Texts, typer.Option(metavar="FILE", help="--iinclude from FILE.")] = ()
    exclude: Annotated[
        Texts,
        typer.Option("--exclude", "-e", metavar="PATTERN", help="Leave these out; repeatable."),
    ] = ()
    iexclude: Annotated[Texts, typer.Option(metavar="PATTERN", help="The same without regard to case.")] = ()
    exclude_file: Annotated[Texts, typer.Option(metavar="FILE", help="--exclude from FILE.")] = ()
    iexclude_file: Annotated[Texts, typer.Option(metavar="FILE", help="--iexclude from FILE.")] = ()
    files_from: Annotated[
        Texts, typer.Option(metavar="FILE", help="Restore the paths that FILE lists, one a line.")
    ] = ()
    files_from_raw: Annotated[
        Texts, typer.Option(metavar="FILE", help="The same, each path ended by a NUL byte.")
    ] = ()
    overwrite: Annotated[
        str,
        typer.Option(
            metavar="WHEN",
            help="always, if-changed, if-newer or never; without it always, but nothing of another kind.",
            show_default=False,
        ),
    ] = ""
    delete: Annotated[
        bool,
        typer.Option(
            "--delete", help="Remove from restored directories what the snapshot covers and does not have."
        ),
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would be done; write nothing.")
    ] = False
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Read back what was restored.")] = False
    sparse: Annotated[bool, typer.Option("--sparse/--no-sparse", help="Leave runs of zeros as holes.")] = True
    to_command: Annotated[
        bool,
        typer.Option("--to-command", help="Give a command's output back to the source's restore_command."),
    ] = False
    detach: Detach = False


def restore(options: RestoreCommandOptions) -> int:
    """Restore a snapshot, or parts of it, to a target."""
    invocation = Invocation.of(options)
    with early_start(invocation.settings, invocation.environ) as begun:
        return _restore(invocation, options, begun)


def _restore(invocation: Invocation, options: RestoreCommandOptions, begun: EarlyStart | None) -> int:
    from holdfast.contracts.restore import RestoreRequest  # noqa: PLC0415 - the server starts while this loads
    from holdfast.control import requests  # noqa: PLC0415 - as above
    from holdfast.starter.requests.repositories import reading  # noqa: PLC0415 - as above
    from holdfast.starter.runs.entry import ask  # noqa: PLC0415 - as above

    request = wanted(invocation, options)
    request.check()
    repository = invocation.repository(place_of(invocation, options))
    repository = reading(repository, no_lock=options.no_lock)
    name = requests.repository_name(invocation.settings, repository)
    selection = requests.store_once(invocation.settings, request)
    verify = VerifyLevel.FULL if options.verify and not options.dry_run else VerifyLevel.NONE
    asked = RestoreRequest(
        repository=name,
        selection=selection,
        verify=verify,
        to_command=options.source if options.to_command else "",
    )
    list_files = options.dry_run or options.verbose > 0
    return ask(invocation, asked, repository, begun, detach=options.detach, list_files=list_files)


def wanted(invocation: Invocation, options: RestoreCommandOptions) -> RestoreOptions:
    """What is asked for, with paths absolute and files of patterns read. Patterns are as in backups.

    Raises:
        UsageError: options contradict each other, or a pattern cannot be used.
        SettingsError: a file of patterns cannot be read, or a line of it not be used.
    """
    overwrite = Overwrite(one_word("--overwrite", options.overwrite or Overwrite.ALWAYS.value, Overwrite))
    patterns = partial(_patterns, invocation, is_subfolder=":" in options.snapshot)
    return RestoreOptions(
        snapshot=options.snapshot,
        which=choice_of(invocation, options),
        target=_target(options),
        includes=patterns(options.include, options.include_file),
        iincludes=patterns(options.iinclude, options.iinclude_file),
        excludes=patterns(options.exclude, options.exclude_file),
        iexcludes=patterns(options.iexclude, options.iexclude_file),
        exact_paths=_exact_paths(options),
        overwrite=overwrite,
        replace_kinds=bool(options.overwrite),
        delete=options.delete,
        dry_run=options.dry_run,
        sparse=options.sparse,
        ignore_damaged=options.ignore_damaged,
        to_command=options.source if options.to_command else "",
    )


def _target(options: RestoreCommandOptions) -> bytes | None:
    if options.to_command:
        _check_to_command(options)
        return None
    if options.target and options.in_place:
        raise UsageError("--target and --in-place exclude each other", hint="Give one of them.")
    if options.in_place:
        return None
    if not options.target:
        raise UsageError(
            "nothing says where to restore to",
            hint="Give --target DIR, or --in-place for where the files came from.",
        )
    return _absolute(expanded(options.target))


def expanded(path: str) -> str:
    """With the home directory for a tilde that the shell has left: it does not expand the one of `--target=~/x`.

    Raises:
        UsageError: no such user is known.
    """
    found = os.path.expanduser(path)
    if path.startswith("~") and found == path:
        raise UsageError(
            f"{path}: nobody knows that home directory",
            hint="Write the path out, or ./~… for a name like that.",
        )
    return found


def _check_to_command(options: RestoreCommandOptions) -> None:
    """The one file of the source goes to its command, and nowhere else.

    Raises:
        UsageError: something else is asked for as well.
    """
    if not options.source:
        raise UsageError(
            "--to-command needs --source", hint="The command is the restore_command of [sources.NAME]."
        )
    if options.target or options.in_place or options.only or options.include or options.dry_run:
        raise UsageError(
            "--to-command goes with no target and no selection", hint="Leave out --target and the paths."
        )


def _exact_paths(options: RestoreCommandOptions) -> tuple[bytes, ...]:
    """Positional paths and lists; an empty list selects nothing, which nobody can mean."""
    listed: list[bytes] = list(_raw(options.only))
    lists = PathLists()
    for file in options.files_from:
        listed += map(os.fsencode, lists.patterns("--files-from", file))
    for file in options.files_from_raw:
        listed += lists.names("--files-from-raw", file)
    if (options.files_from or options.files_from_raw) and not listed:
        raise UsageError("the list of files is empty", hint="Nothing was restored.")
    return tuple(dict.fromkeys(path if path.startswith(b"/") else b"/" + path for path in listed))


def _patterns(
    invocation: Invocation, given: tuple[str, ...], files: tuple[str, ...], *, is_subfolder: bool
) -> tuple[bytes, ...]:
    """Those of options and of files, read now: a restore begins at once."""
    listed = [invocation.rules.path(file) for file in files]
    if is_subfolder:
        for text in (*given, *(line for file in listed for _, line in lines_of(file))):
            _refuse_place(text)
    patterns = (*typed_patterns(invocation, given), *read_patterns(listed, invocation.environ))
    return tuple(map(os.fsencode, patterns))


def _refuse_place(pattern: str) -> None:
    if begins_at_place(pattern):
        raise UsageError(
            f"the pattern {pattern!r} names a place, and the restore begins at a subfolder of the snapshot",
            hint="Begin it with / at that subfolder, or leave out what comes before the name.",
        )


def _raw(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(os.fsencode(text) for text in texts)


def _absolute(path: str) -> bytes:
    return plain(os.path.join(bytes(Path.cwd()), os.fsencode(path)))

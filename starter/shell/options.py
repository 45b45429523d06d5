"""Several commands share options, as frozen dataclasses: a command's own options extend `CommonOptions`.

Names are restic's wherever restic has the option. `registration.py` turns the dataclasses into Typer's parameters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final

import typer

from holdfast.contracts.forms import FORMS
from holdfast.errors import UsageError
from holdfast.service.settings.suggestions import one_of

Groups = Mapping[str, tuple[str, ...]]
"""Headings of a help page, and the options under each in their order (registration.py)."""
REPOSITORY: Final = "Repository"
GENERAL: Final = "General"
WHICH_SNAPSHOTS: Final = "Which snapshots"
LABEL_HINT: Final = "Snapshots are found and shown by it: keep it a short line."
Texts = tuple[str, ...]
"""An option that may be repeated."""
Detach = Annotated[
    bool, typer.Option("--detach", help="Return once the run is started; a service must be up.")
]
NamedRun = Annotated[str, typer.Argument(metavar="RUN|SOURCE", help="A run's id, or its source's name.")]
NoLock = Annotated[
    bool,
    typer.Option(
        "--no-lock", help="Lock nothing and write nothing to the repository; by itself where it is read-only."
    ),
]
IgnoreDamaged = Annotated[
    bool, typer.Option("--ignore-damaged", help='Let "latest" be the newest snapshot that can be read.')
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; shown and recorded.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonOptions:
    """Every command takes these, before its name or after it."""

    GROUPS: ClassVar[Groups] = {
        REPOSITORY: (
            "repo",
            "repository_file",
            "password_file",
            "password_command",
            "limit_upload",
            "limit_download",
            "cache_dir",
            "no_cache",
        ),
        GENERAL: ("config", "json", "quiet", "verbose"),
    }

    repo: Annotated[
        str | None,
        typer.Option(
            "--repo",
            "-r",
            metavar="REPO",
            help="A repository: a profile's name, or a location (RESTIC_REPOSITORY).",
        ),
    ] = None
    repository_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file that holds the location (RESTIC_REPOSITORY_FILE)."),
    ] = None
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file",
            "-p",
            metavar="FILE",
            help="A file that holds the password (RESTIC_PASSWORD_FILE).",
        ),
    ] = None
    password_command: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="A command that prints the password (RESTIC_PASSWORD_COMMAND)."),
    ] = None
    limit_upload: Annotated[
        int,
        typer.Option(metavar="KIB", help="Write at most so many KiB per second.", show_default=False, min=0),
    ] = 0
    limit_download: Annotated[
        int,
        typer.Option(metavar="KIB", help="Read at most so many KiB per second.", show_default=False, min=0),
    ] = 0
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The settings file (HOLDFAST_CONFIG).")
    ] = None
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where copies of files of far repositories are kept (HOLDFAST_CACHE_DIR)."
        ),
    ] = None
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep and use no such copies.")] = False
    json: Annotated[bool, typer.Option("--json", help="Write JSON for programs.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Write no progress.")] = False
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Say more.")
    ] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceOptions(CommonOptions):
    """Which snapshots are meant."""

    GROUPS: ClassVar[Groups] = {WHICH_SNAPSHOTS: ("source", "host", "path", "tag")}

    source: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Only snapshots of this source of the settings.", show_default=False
        ),
    ] = ""

    host: Annotated[
        Texts,
        typer.Option("--host", "-H", metavar="HOST", help="Only snapshots of this host; repeatable."),
    ] = ()
    path: Annotated[
        Texts, typer.Option(metavar="PATH", help="Only snapshots that hold this path; repeatable.")
    ] = ()
    tag: Annotated[
        Texts,
        typer.Option(metavar="TAG[,TAG…]", help="Only snapshots with all of these tags; repeatable."),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFilterOptions(ChoiceOptions):
    """The same, for commands that only read a repository."""

    GROUPS: ClassVar[Groups] = {
        WHICH_SNAPSHOTS: ("source", "host", "path", "tag", "ignore_damaged"),
        REPOSITORY: ("no_lock",),
    }

    no_lock: NoLock = False
    ignore_damaged: IgnoreDamaged = False


def one_word(option: str, given: str, known: Iterable[str]) -> str:
    """What an option was given, if it is one of these words.

    Raises:
        UsageError: it is none of them.
    """
    words = tuple(known)
    if given not in words:
        raise UsageError(f"{option}: {given!r} is not known", hint=one_of(given, words, option))
    return given


def tags_in(option: str, given: Texts) -> Texts:
    """The tags of restic's comma-separated lists, each once.

    Raises:
        UsageError: one is ours, is too long, or holds a control character.
    """
    from holdfast.format.tags import OWN  # noqa: PLC0415 - it brings msgspec, and most commands name no tags

    tags = dict.fromkeys(tag.strip() for several in given for tag in several.split(","))
    for tag in tags:
        if tag.startswith(OWN):
            raise UsageError(f'{option}: tags that begin with "{OWN}" are ours', hint="Choose another.")
        if tag and not FORMS["tags"].fullmatch(tag):
            raise UsageError(f"{option}: {tag!r} is too long, or holds a control character", hint=LABEL_HINT)
    return tuple(tag for tag in tags if tag)

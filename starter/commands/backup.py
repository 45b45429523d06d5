"""`holdfast backup` backs up paths, or sources of the settings."""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, ClassVar, TypeVar

import typer

from holdfast.contracts.forms import FORMS
from holdfast.errors import EXIT_COMPLETE, EXIT_INTERRUPTED, EXIT_PARTIAL, HoldfastError, UsageError
from holdfast.format.pack import Compression
from holdfast.service.settings.model import (
    MAX_PACK_SIZE_BYTES,
    MIN_PACK_SIZE_BYTES,
    RepositoryProfile,
)
from holdfast.starter.host.early_start import EarlyStart, early_start
from holdfast.starter.requests.sources import ChosenSource, SourceOptions, chosen_sources
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import LABEL_HINT, Detach, Groups, Texts, one_word, tags_in
from holdfast.starter.shell.output import tell_done, tell_error
from holdfast.terms import Strategy, VerifyLevel

WordT = TypeVar("WordT", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupOptions(SourceOptions):
    """Options of `backup`."""

    GROUPS: ClassVar[Groups] = {
        **SourceOptions.GROUPS,
        "The snapshot": ("host", "tag", "strategy", "parent", "force"),
        "The run": ("dry_run", "verify", "compression", "pack_size", "fresh", "detach"),
    }

    tag: Annotated[Texts, typer.Option(metavar="TAG[,TAG…]", help="Tags for the snapshot; repeatable.")] = ()
    host: Annotated[
        str, typer.Option("--host", "-H", metavar="NAME", help="The host that the snapshot names.")
    ] = ""
    parent: Annotated[
        str, typer.Option(metavar="SNAPSHOT", help="Compare with this snapshot instead of the strategy's.")
    ] = ""
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Read all files again; the same as --strategy full.")
    ] = False
    strategy: Annotated[
        str, typer.Option(metavar="NAME", help="auto, full, differential or incremental.", show_default=False)
    ] = ""
    verify: Annotated[
        str, typer.Option(metavar="LEVEL", help="none, structure, written or full.", show_default=False)
    ] = ""
    compression: Annotated[
        str, typer.Option(metavar="MODE", help="auto, off or max.", show_default=False)
    ] = ""
    pack_size: Annotated[
        int, typer.Option(metavar="MIB", help="Size of packs in MiB.", show_default=False)
    ] = 0
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "-n", help="Say what would be stored; write nothing. -v lists the files."),
    ] = False
    fresh: Annotated[bool, typer.Option("--fresh", help="Do not go on with an interrupted run.")] = False
    detach: Detach = False


def backup(options: BackupOptions) -> int:
    """Back up PATHS, or sources of the settings by their names."""
    invocation = Invocation.of(options)
    first, *others = chosen_sources(invocation, options)
    if first.door is not None and options.detach:
        raise UsageError(
            "what is read from here needs this command to stay",
            hint="Leave --detach out: the run would be alone.",
        )
    if not others:
        if options.dry_run:
            return _dry_run(invocation, options, first)
        with early_start(invocation.settings, invocation.environ) as begun:
            return _backup(invocation, options, first, begun)
    codes: list[int] = []
    for source in (first, *others):
        if EXIT_INTERRUPTED not in codes:
            codes.append(_one_of_several(invocation, options, source))
    return next((code for code in codes if code not in (EXIT_COMPLETE, EXIT_PARTIAL)), max(codes))


def _one_of_several(invocation: Invocation, options: BackupOptions, source: ChosenSource) -> int:
    """One source of several: what is wrong with it keeps none of the others from being backed up."""
    name = f"source {source.name}"
    tell_done(options, {"message_type": "note", "message": name}, f"{name}:")
    try:
        if options.dry_run:
            return _dry_run(invocation, options, source)
        with early_start(invocation.settings, invocation.environ) as begun:
            return _backup(invocation, options, source, begun)
    except HoldfastError as error:
        tell_error(error, as_json=options.json)
        return error.exit_code


def _backup(
    invocation: Invocation, options: BackupOptions, source: ChosenSource, begun: EarlyStart | None
) -> int:
    from holdfast.contracts.backup import BackupRequest  # noqa: PLC0415 - the server starts while this loads
    from holdfast.control import requests  # noqa: PLC0415 - as above
    from holdfast.control.repositories import check_repository, check_writable  # noqa: PLC0415 - as above
    from holdfast.starter.runs.entry import ask  # noqa: PLC0415 - as above

    repository = _repository(invocation, options, source.repository)
    strategy = _choice("--strategy", _strategy(options), Strategy) or source.strategy
    verify = _choice("--verify", options.verify, VerifyLevel) or source.verify
    host, tags = _host(options.host), tags_in("--tag", options.tag)
    check_repository(repository)
    check_writable(repository)
    name = requests.repository_name(invocation.settings, repository)
    subject = source.name if source.order is None else requests.store(invocation.settings, source.order)
    request = BackupRequest(
        repository=name,
        source=subject,
        strategy=strategy,
        host=host,
        tags=tags,
        parent=options.parent,
        verify=verify,
    )
    return ask(
        invocation,
        request,
        repository,
        begun,
        fresh=options.fresh,
        detach=options.detach,
        list_files=options.verbose > 0,
        beside=source.door,
    )


def _dry_run(invocation: Invocation, options: BackupOptions, source: ChosenSource) -> int:
    from holdfast.starter.requests.dry_backup import dry_backup  # noqa: PLC0415 - the engine, for this alone

    if options.detach:
        raise UsageError("a dry run is no run of the service", hint="Leave out --detach or --dry-run.")
    order, settings = source.order, invocation.settings
    with source.door or nullcontext():
        return dry_backup(
            invocation,
            _repository(invocation, options, source.repository),
            settings.source(source.name) if order is None else order.profile(""),
            strategy=_choice("--strategy", _strategy(options), Strategy) or source.strategy,
            host=_host(options.host),
            tags=tags_in("--tag", options.tag),
            parent=options.parent,
        )


def _strategy(options: BackupOptions) -> str:
    if not options.force:
        return options.strategy
    if options.strategy not in ("", "full"):
        raise UsageError("--force means --strategy full", hint="Give one of the two.")
    return "full"


def _choice(option: str, value: str, words: type[WordT]) -> WordT | None:
    return words(one_word(option, value, words)) if value else None


def _host(given: str) -> str:
    if not FORMS["host"].fullmatch(given):
        raise UsageError(f"--host: {given!r} is too long, or holds a control character", hint=LABEL_HINT)
    return given


def _repository(invocation: Invocation, options: BackupOptions, fallback: str) -> RepositoryProfile:
    """The repository; with another compression or pack size than its profile's, it is one of its own."""
    repository = invocation.repository(fallback)
    compression = _choice("--compression", options.compression, Compression)
    if compression:
        repository = replace(repository, compression=compression)
    if options.pack_size:
        size_bytes = options.pack_size << 20
        if not MIN_PACK_SIZE_BYTES <= size_bytes <= MAX_PACK_SIZE_BYTES:
            raise UsageError(
                f"--pack-size: {options.pack_size} MiB cannot be used",
                hint=f"Give {MIN_PACK_SIZE_BYTES >> 20} to {MAX_PACK_SIZE_BYTES >> 20}.",
            )
        repository = replace(repository, pack_size_bytes=size_bytes)
    return repository

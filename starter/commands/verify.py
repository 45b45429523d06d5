"""`holdfast verify` checks a repository, or some of its snapshots, as a run of the service."""

from dataclasses import dataclass
from typing import Annotated, Final

import typer

from holdfast.starter.host.early_start import EarlyStart, early_start
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import Detach, SnapshotFilterOptions, Texts, one_word
from holdfast.starter.shell.output import warn
from holdfast.terms import VerifyLevel
from holdfast.verify.documents import VerifyOrder
from holdfast.verify.share import parse_share

_LEVELS: Final = (VerifyLevel.STRUCTURE.value, VerifyLevel.FULL.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions(SnapshotFilterOptions):
    """Options of `verify`."""

    snapshots: Annotated[
        Texts,
        typer.Argument(
            metavar="[SNAPSHOT[:SUBFOLDER]…]", help="Only these; all without any.", show_default=False
        ),
    ] = ()
    level: Annotated[str, typer.Option(metavar="LEVEL", help="structure, or full: read everything back.")] = (
        VerifyLevel.STRUCTURE.value
    )
    read_data: Annotated[bool, typer.Option("--read-data", help="The same as --level full.")] = False
    read_data_subset: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Read a share: 5%, 10GiB, 2/7 (the second of seven parts), day/7 (today's).",
            show_default=False,
        ),
    ] = ""
    detach: Detach = False


def verify(options: VerifyOptions) -> int:
    """Check snapshots: that all they refer to is there, or (full) that it can be read, decrypted and is whole."""
    share = _share(options)
    invocation = Invocation.of(options)
    with early_start(invocation.settings, invocation.environ) as begun:
        return _verify(invocation, options, share, begun)


def _verify(invocation: Invocation, options: VerifyOptions, share: str, begun: EarlyStart | None) -> int:
    from holdfast.contracts.verify import VerifyRequest  # noqa: PLC0415 - the server starts while this loads
    from holdfast.control import requests  # noqa: PLC0415 - as above
    from holdfast.control.repositories import is_only_read  # noqa: PLC0415 - as above
    from holdfast.starter.requests.choice import choice_of, place_of  # noqa: PLC0415 - as above
    from holdfast.starter.requests.repositories import reading  # noqa: PLC0415 - as above
    from holdfast.starter.runs.entry import ask  # noqa: PLC0415 - as above

    repository = invocation.repository(place_of(invocation, options))
    repository = reading(repository, no_lock=options.no_lock)
    name = requests.repository_name(invocation.settings, repository)
    wanted = VerifyOrder(
        snapshots=options.snapshots,
        which=choice_of(invocation, options),
        ignore_damaged=options.ignore_damaged,
    )
    chosen = wanted.snapshots or wanted.which
    selection = "" if not chosen else requests.store(invocation.settings, wanted)
    asked = VerifyRequest(
        repository=name,
        selection=selection,
        share=share,
    )
    code = ask(invocation, asked, repository, begun, detach=options.detach)
    if code and is_only_read(repository):
        warn(
            "What is damaged was noted on this host only, because the repository is only read: backups learn of it "
            "when the repository itself is verified."
        )
    return code


def _share(options: VerifyOptions) -> str:
    one_word("--level", options.level, _LEVELS)
    if options.read_data_subset:
        parse_share(options.read_data_subset)
        return options.read_data_subset
    return "all" if options.read_data or options.level == VerifyLevel.FULL.value else "none"

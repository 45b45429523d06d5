"""`holdfast drill` tries a restore, as a drill of the settings says, or of a source with nothing but its name."""

from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.drill.form import parse_sample
from holdfast.errors import UsageError
from holdfast.service.settings.model import Settings
from holdfast.service.settings.suggestions import one_of
from holdfast.starter.host.early_start import EarlyStart, early_start
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions, Detach


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOptions(CommonOptions):
    """Options of `drill`."""

    name: Annotated[
        str,
        typer.Argument(
            metavar="DRILL|SOURCE", help="A drill of the settings, or a source.", show_default=False
        ),
    ]
    sample: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="Of a source: all, a share of its files (5%), or 1GiB of them.",
            show_default=False,
        ),
    ] = ""
    snapshot: Annotated[
        str, typer.Option(metavar="ID", help="This snapshot; else the source's newest.", show_default=False)
    ] = ""
    detach: Detach = False


def drill(options: DrillOptions) -> int:
    """Try a restore: of a sample or of everything, compared, checked, held against its goals, and removed again."""
    invocation = Invocation.of(options)
    with early_start(invocation.settings, invocation.environ) as begun:
        return _drill(invocation, options, begun)


def _drill(invocation: Invocation, options: DrillOptions, begun: EarlyStart | None) -> int:
    from holdfast.contracts.drill import DrillRequest  # noqa: PLC0415 - the server starts while this loads
    from holdfast.control.repositories import check_repository  # noqa: PLC0415 - as above
    from holdfast.starter.runs.entry import ask  # noqa: PLC0415 - as above

    settings = invocation.settings
    drill_name, source = _meant(settings, options)
    repository = settings.repository(settings.source(source).repository)
    check_repository(repository)
    asked = DrillRequest(
        repository=repository.name,
        drill=drill_name,
        source="" if drill_name else source,
        sample=options.sample or "all",
        snapshot=options.snapshot,
    )
    return ask(invocation, asked, repository, begun, detach=options.detach)


def _meant(settings: Settings, options: DrillOptions) -> tuple[str, str]:
    """The drill's name (empty for a plain one) and its source.

    Raises:
        UsageError: there is neither, or an option does not fit.
    """
    found = settings.drills.get(options.name)
    if found is not None:
        if options.sample:
            raise UsageError("--sample: the settings say how much this drill tries", hint="Leave it out.")
        return found.name, found.source
    if options.name in settings.sources:
        parse_sample(options.sample or "all")
        return "", options.name
    known = [*settings.drills, *settings.sources]
    hint = (
        one_of(options.name, known, "drill or source")
        if known
        else "Add a table [drills.NAME] to holdfast.toml."
    )
    raise UsageError(f"the settings have no drill and no source {options.name!r}", hint=hint)

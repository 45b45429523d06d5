"""`holdfast repair` mends the index, damaged packs, or snapshots that lack something, as a run of the service."""

from dataclasses import dataclass
from typing import Annotated, Final

import typer

from holdfast.repair.documents import RepairOrder
from holdfast.repair.packs import check_names
from holdfast.starter.host.early_start import EarlyStart, early_start
from holdfast.starter.requests.choice import choice_of, place_of
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import ChoiceOptions, CommonOptions, Detach, Texts
from holdfast.starter.shell.registration import add_command
from holdfast.terms import RepairKind

app: Final = typer.Typer(
    help="Repair the index, damaged packs, or snapshots that lack something.", no_args_is_help=False
)
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Only look, and say what would be done.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions(CommonOptions):
    """Options of `repair index`."""

    read_all_packs: Annotated[
        bool,
        typer.Option("--read-all-packs", help="Go by the headers of all packs, not only of doubtful ones."),
    ] = False
    dry_run: DryRun = False
    detach: Detach = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PacksOptions(CommonOptions):
    """Options of `repair packs`."""

    packs: Annotated[
        Texts,
        typer.Argument(
            metavar="[PACK…]", help="Only these; else all that are known to be damaged.", show_default=False
        ),
    ] = ()
    dry_run: DryRun = False
    detach: Detach = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotsOptions(ChoiceOptions):
    """Options of `repair snapshots`."""

    snapshots: Annotated[
        Texts,
        typer.Argument(
            metavar="[SNAPSHOT…]", help="Only these; else all that pass the filters.", show_default=False
        ),
    ] = ()
    forget: Annotated[
        bool, typer.Option("--forget", help="Remove the broken snapshots, once what can be had is stored.")
    ] = False
    dry_run: DryRun = False
    detach: Detach = False


def index(options: IndexOptions) -> int:
    """Write the index again where it is wrong: from what packs say in their headers."""
    order = RepairOrder(kind=RepairKind.INDEX, read_all_packs=options.read_all_packs, dry_run=options.dry_run)
    return _repair(Invocation.of(options), order, detach=options.detach)


def packs(options: PacksOptions) -> int:
    """Save what is sound in damaged packs, and remove these. What is lost in them is lost for all snapshots."""
    check_names(options.packs)
    order = RepairOrder(kind=RepairKind.PACKS, packs=options.packs, dry_run=options.dry_run)
    return _repair(Invocation.of(options), order, detach=options.detach)


def snapshots(options: SnapshotsOptions) -> int:
    """Store snapshots that lack something again, without that, and marked so. Repair the index first."""
    invocation = Invocation.of(options)
    order = RepairOrder(
        kind=RepairKind.SNAPSHOTS,
        snapshots=options.snapshots,
        which=choice_of(invocation, options),
        forget=options.forget,
        dry_run=options.dry_run,
    )
    return _repair(invocation, order, detach=options.detach, place=place_of(invocation, options))


add_command(app, "index", index)
add_command(app, "packs", packs)
add_command(app, "snapshots", snapshots)


def _repair(invocation: Invocation, wanted: RepairOrder, *, detach: bool, place: str = "") -> int:
    with early_start(invocation.settings, invocation.environ) as begun:
        return _run(invocation, wanted, begun, detach=detach, place=place)


def _run(
    invocation: Invocation, wanted: RepairOrder, begun: EarlyStart | None, *, detach: bool, place: str
) -> int:
    from holdfast.contracts.repair import RepairRequest  # noqa: PLC0415 - the server starts while this loads
    from holdfast.control import requests  # noqa: PLC0415 - as above
    from holdfast.control.repositories import check_repository, check_writable  # noqa: PLC0415 - as above
    from holdfast.starter.runs.entry import run  # noqa: PLC0415 - as above
    from holdfast.starter.runs.order import Order  # noqa: PLC0415 - as above
    from holdfast.starter.shell.person import triggered  # noqa: PLC0415 - as above

    repository = invocation.repository(place)
    check_repository(repository)
    check_writable(repository)
    asked = RepairRequest(
        repository=requests.repository_name(invocation.settings, repository),
        selection=requests.store(invocation.settings, wanted),
        trigger=triggered(),
        policy=requests.run_policy(invocation.settings),
    )
    order = Order(
        request=asked,
        repository=repository,
        workflow_id=requests.workflow_id_of(invocation.settings, asked),
        detach=detach,
    )
    return run(invocation, order, begun)

"""`holdfast prune` removes from a repository what no snapshot needs, as a run of the service."""

from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.starter.host.early_start import EarlyStart, early_start
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions, Detach


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOptions(CommonOptions):
    """Options of `prune`."""

    max_unused: Annotated[
        str,
        typer.Option(
            metavar="LIMIT",
            help="Unused data that may stay: 5%, 10GiB or unlimited; else the settings'.",
            show_default=False,
        ),
    ] = ""
    max_repack_size: Annotated[
        str,
        typer.Option(metavar="SIZE", help="Copy at most so much; else the settings'.", show_default=False),
    ] = ""
    unused_only: Annotated[
        bool,
        typer.Option(
            "--unused-only", help="Copy nothing: remove what is unused as a whole. For a disk that is full."
        ),
    ] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only plan, and show the plan.")] = False
    detach: Detach = False


def prune(options: PruneOptions) -> int:
    """Remove what no snapshot needs. Backups and restores go on beside it, but for seconds."""
    limit = _most_bytes(options)
    invocation = Invocation.of(options)
    with early_start(invocation.settings, invocation.environ) as begun:
        return _prune(invocation, options, limit, begun)


def _prune(
    invocation: Invocation, options: PruneOptions, max_repack_bytes: int | None, begun: EarlyStart | None
) -> int:
    from holdfast.contracts.identity import part_id  # noqa: PLC0415 - the server starts while this loads
    from holdfast.contracts.prune import PruneRequest  # noqa: PLC0415
    from holdfast.control import requests  # noqa: PLC0415
    from holdfast.starter.runs.entry import run  # noqa: PLC0415
    from holdfast.starter.runs.order import Order  # noqa: PLC0415
    from holdfast.starter.shell.person import triggered  # noqa: PLC0415

    repository = invocation.repository()
    asked = PruneRequest(
        repository=requests.repository_name(invocation.settings, repository),
        max_unused=options.max_unused,
        max_repack_bytes=max_repack_bytes,
        unused_only=options.unused_only,
        dry_run=options.dry_run,
        trigger=triggered(),
        policy=requests.run_policy(invocation.settings),
    )
    workflow_id = requests.workflow_id_of(invocation.settings, asked)
    order = Order(
        request=asked,
        repository=repository,
        workflow_id=part_id(workflow_id, "dry-run") if options.dry_run else workflow_id,
        detach=options.detach,
    )
    return run(invocation, order, begun)


def _most_bytes(options: PruneOptions) -> int | None:
    """--max-repack-size in bytes; None where the settings say it. Also sees whether --max-unused can be meant.

    Raises:
        UsageError: one of them is no limit.
    """
    from holdfast.prune.decide import parse_max_repack, parse_max_unused  # noqa: PLC0415 - not for --help

    if options.max_unused:
        parse_max_unused(options.max_unused, 0)
    return parse_max_repack(options.max_repack_size) if options.max_repack_size else None

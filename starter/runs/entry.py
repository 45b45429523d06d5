"""A command enters here to carry out one order: workers are forked first, and what needs threads comes then."""

import asyncio

from starter.host.early_start import EarlyStart
from starter.runs.order import Order, need_of
from starter.shell.invocation import Invocation


def run(invocation: Invocation, order: Order, begun: EarlyStart | None = None) -> int:
    """Carry the order out; the exit code. begun: what was begun before the order was made.

    Raises:
        HoldfastError: whatever stands in its way, or ended the run.
    """
    need = need_of(invocation, order)
    if begun is not None:
        begun.fork_workers(_load)
    from starter.runs.carry_out import carry_out  # noqa: PLC0415 - Temporal's client, while the server starts

    return asyncio.run(carry_out(invocation, order, need, begun))


def _load() -> None:
    """Load what workers need, which includes Temporal's client, and what this process needs of it."""
    import starter.host.worker_process  # noqa: PLC0415 - this is the moment
    import starter.runs.carry_out  # noqa: F401, PLC0415 - as above

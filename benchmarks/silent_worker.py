"""`python benchmarks/silent_worker.py up`: the service, but its activities send no heartbeats; benchmarks.checkpoints.

The service starts this file again in the place of worker.py, and what it is told then is for a worker. An activity that
takes longer than the timeout of its heartbeats would count as dead.
"""

import sys
from pathlib import Path

_PROJECT = Path(__file__).parent.parent
sys.path.insert(0, str(_PROJECT))

from holdfast.activities.calls import EngineCall  # noqa: E402 - found once the path is set
from holdfast.starter.host import launch  # noqa: E402 - as above
from holdfast.starter.host.processes import end_process  # noqa: E402 - as above
from holdfast.starter.main import main as command  # noqa: E402 - as above
from holdfast.worker import main as worker  # noqa: E402 - as above


async def _no_beat(_: EngineCall) -> None:
    """Nobody is told."""


if __name__ == "__main__":
    setattr(EngineCall, "beat", _no_beat)  # noqa: B010 - a method may not be assigned to
    if "--config-fd" in sys.argv:
        end_process(worker())
    setattr(launch, "_WORKER", Path(__file__))  # noqa: B010 - nor a constant
    sys.exit(command())

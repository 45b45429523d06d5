"""`holdfast holds` lists what is held: snapshots by persons, and sources' snapshots by alarms of their guards."""

import time

from holdfast.retention.holds import list_holds, open_alarms
from holdfast.starter.requests.repositories import open_repository
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import tell
from holdfast.starter.view.retention import hold_documents, hold_lines


def holds(options: CommonOptions) -> int:
    """List holds, and alarms that hold what a source had before them."""
    repository = open_repository(Invocation.of(options))
    found, alarms = list_holds(repository), open_alarms(repository)
    return tell(options, hold_documents(found, alarms), hold_lines(found, alarms, time.time_ns()))

"""Says whether the settings of this host declare what a schedule on the server starts.

A schedule stands on the server, where it outlives the settings that it was made from. Workers run only what these
declare now: `holdfast schedule apply` brings the server up to date.
"""

from holdfast.control.schedules.declaration import declarations
from holdfast.control.schedules.upkeep import cleanup_id, watchdog_id
from holdfast.service.settings.model import Settings
from holdfast.transport.places import without_time


def declares(settings: Settings, workflow_id: str, starts: str) -> bool:
    """workflow_id: of what the schedule has started; it begins with the schedule's own id. starts: the id of the run
    that this is to start, which says what of: a restore's holds its selection.
    """
    name = without_time(workflow_id)
    if name in {watchdog_id(settings.host), cleanup_id(settings.host)}:
        return not starts
    return any(
        declared.id == name and declared.order.workflow_id == starts for declared in declarations(settings)
    )

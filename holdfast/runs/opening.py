"""A run is open while its document `opening` stands: what was decided once, for all attempts at it.

1. what opens the run takes away what an interrupted cleanup has left, makes its decisions, leaves the janitor's note,
   then the pointer to the companion (elsewhere.py), and then creates the opening if it is absent. A run that cannot be
   opened leaves nothing; killed before the opening is there, a note, with which the janitor takes all of it away;
2. closing removes the opening first, then the pointer, then everything else. Killed in between, it is done again, or
   the janitor does it, which finds runs by what is in the companion;
3. an attempt that wakes up late may write a document all the same. So it looks for the opening afterwards
   (`conclude`). If that has gone, it takes its document away again. If it stands, the closing is still to come, and
   takes the document along.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from holdfast.errors import RunClosedError
from holdfast.repository.documents import DocumentT, decide, load
from holdfast.runs.elsewhere import check_here, leave_pointer
from holdfast.runs.janitor import finish_removal, leave_note
from holdfast.runs.workspace import Workspace

OPENING: Final = "opening"
OpeningT = TypeVar("OpeningT", bound=msgspec.Struct)


def open_run(
    workspace: Workspace, kind: type[OpeningT], make: Callable[[], OpeningT], *, is_new: bool = False
) -> tuple[OpeningT, bool]:
    """Open the run, under the shared lock; what stands, and whether it stood before (the run is resumed).

    is_new: its id was never used before, except by this very call. So nothing of it is looked for elsewhere.

    Raises:
        CorruptFileError: the opening cannot be read, or is one of another program version.
        UsageError: the run was begun with another companion.
    """
    if not is_new:
        finish_removal(workspace)
    standing = load(workspace, OPENING, kind)
    if standing is None and not is_new:
        check_here(workspace)
    opening = standing or make()
    leave_note(workspace)
    leave_pointer(workspace)
    return (opening if standing else decide(workspace, OPENING, opening)), standing is not None


def load_opening(workspace: Workspace, kind: type[OpeningT]) -> OpeningT:
    """What was decided when the run was opened.

    Raises:
        RunClosedError: the run was not opened, or it is over.
        UsageError: it was begun with another companion.
    """
    opening = load(workspace, OPENING, kind)
    if opening is None:
        check_here(workspace)
        raise RunClosedError("the run was closed, or never opened")
    return opening


def conclude(workspace: Workspace, name: str, document: DocumentT) -> DocumentT:
    """`decide`, unless the run was closed before.

    Raises:
        RunClosedError: it was; nothing of this call is left.
    """
    standing = decide(workspace, name, document)
    if not workspace.has(OPENING):
        workspace.remove(name)
        raise RunClosedError("the run was closed before this attempt had ended")
    return standing


def close_run(workspace: Workspace) -> None:
    """Remove the run's documents; those that are not there are fine."""
    workspace.remove(OPENING)
    workspace.delete()

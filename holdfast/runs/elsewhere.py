"""A run that was begun with another companion is told so: its documents are not lost, only out of sight.

Where the companion is not the repository's own storage, that gets a *pointer* when the run is opened, as far as it
takes such names: which companion it is, sealed. Where the run finds nothing of its own, the pointer is looked for:

    - it names another companion than the one in use: the settings have changed;
    - there is none, but documents of the run are there, and the companion is elsewhere now: likewise.

The pointer is written after the janitor's note, and goes before the run's documents. So wherever a run is killed, there
is no pointer without something in the companion by which the janitor finds both.
"""

from typing import Final

from holdfast.errors import UsageError
from holdfast.ids import sha256
from holdfast.repository.companion import has_companion
from holdfast.runs.workspace import Workspace

_POINTER: Final = "companion"


def leave_pointer(workspace: Workspace) -> None:
    """Say in the repository's own storage where the run's documents are; nothing where they are in it."""
    own = workspace.in_own_storage()
    if own is not None and own.traits.keeps_documents and has_companion(workspace.repository):
        own.put(_POINTER, _name_of(workspace))


def check_here(workspace: Workspace) -> None:
    """Look whether the run's documents are elsewhere, where none are found here.

    Raises:
        UsageError: they are.
    """
    own = workspace.in_own_storage()
    if own is None:
        return
    there = set(own.list())
    pointer = own.get(_POINTER) if _POINTER in there else None
    is_here = workspace.repository.workspaces is workspace.repository.storage
    if pointer != _name_of(workspace) if pointer is not None else there and not is_here:
        raise UsageError(
            f"{workspace.repository.storage.location}: this run was begun with another companion",
            hint="Set `companion` of the repository, and `address` of the server, to what they were until the run has "
            "ended, or cancel the run.",
        )


def _name_of(workspace: Workspace) -> bytes:
    return sha256(workspace.repository.companion.location.encode("utf-8", "surrogateescape"))
